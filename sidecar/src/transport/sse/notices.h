// Gives users their notices: what has changed for them in a stream that they read, at once and to nobody else.
//
// Postgres records the changes and seals the notices (sql/34_user_notices.sql). A notification wakes this class, which
// reads the changes since its last snapshot, and asks for the sealed notices of those users alone who read here. So
// each sidecar serves its own readers, and a change for many users costs little where they do not read.
//
// Then it lets AccessChecks ask at once whether these readers may still read. A reader gets the notice first.
//
// A reader that was not connected at a change has not missed it: a reader that connects first gets the notices of
// notices_of().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/asio.h"
#include "base/event.h"
#include "client/postgres/connection.h"
#include "transport/sse/access_checks.h"
#include "transport/sse/hub.h"

namespace sealcast::transport::sse {

// Appends the event of a notice. It has no id, so that the resume point of the reader does not move.
void append_notice(std::string_view envelope, std::string& out);

class Notices {
 public:
  struct Options {
    postgres::Dsn dsn;                  // of a connection that can listen
    std::chrono::milliseconds timeout;  // of each statement
    std::chrono::milliseconds poll;     // finds changes whose notification was lost
  };

  // `hubs` and `checks` must stay valid as long as this object, and this object until the event loop has no work.
  Notices(asio::any_io_executor executor, const Options& options, std::vector<Hub*> hubs, AccessChecks& checks);
  ~Notices();

  void start();
  void stop();

 private:
  struct Change {
    std::string subject;
    std::string stream_id;  // the nil UUID: all streams
    std::string user_id;    // the nil UUID: all users
    bool wanted = false;    // a user whom it concerns reads here
    ChunkPtr event{};       // null until it is sealed
  };
  // By stream and user.
  using Changes = std::unordered_map<std::string, std::vector<Change>>;
  class Streams;

  asio::awaitable<void> run();
  asio::awaitable<void> deliver_new();
  asio::awaitable<void> deliver(Changes changes);
  asio::awaitable<void> seal(std::span<Change* const> wanted);
  std::vector<Change*> wanted(Changes& changes) const;
  std::vector<ReaderKey> readers_to_check(Changes& changes) const;

  asio::any_io_executor executor_;
  std::chrono::milliseconds poll_;
  std::vector<Hub*> hubs_;
  AccessChecks& checks_;
  std::shared_ptr<postgres::Connection> connection_;
  // The snapshot up to which changes were delivered. A connection begins with one that sees nothing: a reader may have
  // connected before the first look.
  static constexpr std::string_view kSawNothing = "1:1:";
  std::string seen_{kSawNothing};
  Event wake_up_;
  bool lost_ = false;  // the connection, since the last look at what a connection begins with
  bool stopping_ = false;
  bool failing_ = false;
};

}  // namespace sealcast::transport::sse
