// A few connections to Postgres for short statements of one class of work. Each statement goes to the established
// connection with the fewest unanswered statements.
//
// A connection has at most kDepth unanswered statements. Further statements wait in the pool, in order of arrival. The
// pool never sends a statement if its caller has gone, or if its deadline passes, while the statement waits. The
// deadline counts from the arrival: `timeout` while a statement waits, and `timeout` more once it is sent.
//
// Postgres itself cancels a statement that takes longer than `timeout`, so that no connection is lost by it. The
// connections have the errors, and reconnect, as connection.h describes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/asio.h"
#include "client/postgres/connection.h"

namespace sealcast::client::postgres {

class Pool {
 public:
  static constexpr std::size_t kDepth = 8;

  // settings.max_queued is the maximum of statements that wait in the pool; a further one fails as unavailable.
  Pool(asio::any_io_executor executor, const ConnectionSettings& settings, std::size_t size);
  ~Pool();

  void start();
  void stop();
  bool connected() const;  // true when at least one connection is connected

  // The pool calls this function on the event loop each time one of its connections has connected.
  std::function<void()> on_connect;

  // Runs one statement, as Connection::query(), but `params` must not change until it has returned. Throws Error. When
  // no connection is connected, throws Error{unavailable} at once. `wanted` is asked before a statement that had to
  // wait is sent; if it returns false, the statement fails as unavailable.
  asio::awaitable<Result> query(const char* sql, const Params& params = kNoParams,
                                std::function<bool()> wanted = nullptr);

 private:
  class Turn;
  struct Queue;

  asio::any_io_executor executor_;
  std::chrono::milliseconds timeout_;
  std::size_t max_waiting_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::shared_ptr<Queue> queue_;
};

}  // namespace sealcast::client::postgres
