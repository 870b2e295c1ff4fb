// Ends the event streams whose readers may not read any more: a reader was banned, lost the role, or the session has
// expired; the stream became private or was deleted.
//
// Every kPause, one statement asks which streams everybody may still read. For the readers of all other streams, a
// second statement asks for the rights of each user once, whatever the number of the user's connections. Both
// statements ask for at most kAtOnce readers and are repeated for the others.
//
// A change of which a notice tells (notices.h) is not left to that: the rights of its readers are asked for at once.
//
// While Postgres does not answer, no event stream ends: then there are no new messages to read either.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "client/postgres/refresher.h"
#include "transport/reader_access.h"
#include "transport/sse/hub.h"

namespace sealcast::transport::sse {

class AccessChecks {
 public:
  static constexpr std::chrono::seconds kPause{2};  // between two checks
  static constexpr std::size_t kAtOnce = 1000;      // readers in one statement

  // `access` and the hubs must stay valid as long as this object.
  AccessChecks(asio::any_io_executor executor, ReaderAccess& access, std::vector<Hub*> hubs);

  void start() { refresher_.start(); }
  void stop() { refresher_.stop(); }

  // Ends the event streams of those of these readers who may not read any more. Throws postgres::Error.
  asio::awaitable<void> check(std::vector<ReaderKey> readers);

 private:
  asio::awaitable<void> check_all();
  asio::awaitable<void> check(Hub& hub);
  // Returns the code with which the event stream of a reader ends; an empty text when it goes on.
  using CodeOf = std::function<std::string_view(const std::string& stream_id, const ReaderIdentity& reader)>;
  void end(Hub& hub, std::span<const std::string> streams, const CodeOf& code_of);
  asio::awaitable<std::vector<std::string>> restricted_streams(Hub& hub);
  asio::awaitable<std::vector<ReaderRights>> rights_of(const std::vector<ReaderKey>& readers);

  ReaderAccess& access_;
  std::vector<Hub*> hubs_;
  postgres::Refresher refresher_;
};

}  // namespace sealcast::transport::sse
