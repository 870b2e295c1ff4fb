// A few connections to Postgres for short statements. Each statement goes to the established connection with the fewest
// unanswered statements.
//
// The connections have the deadlines and errors, and reconnect, as connection.h describes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/asio.h"
#include "client/postgres/connection.h"

namespace sealcast::client::postgres {

class Pool {
 public:
  Pool(asio::any_io_executor executor, const ConnectionSettings& settings, std::size_t size);
  ~Pool();

  void start();
  void stop();
  bool connected() const;  // true when at least one connection is connected

  // The pool calls this function on the event loop each time one of its connections has connected.
  std::function<void()> on_connect;

  // Runs one statement, as Connection::query(). Throws Error. When no connection is connected, throws
  // Error{unavailable} at once.
  asio::awaitable<Result> query(const char* sql, const Params& params = kNoParams);

 private:
  std::vector<std::shared_ptr<Connection>> connections_;
};

}  // namespace sealcast::client::postgres
