// One connection to Postgres that keeps itself connected: libpq in pipeline mode on the event loop.
//
// Use: unnamed statements, each in its own transaction, sent at once and answered in order. The connection sets
// no session parameters except those in the DSN, so it works through PgBouncer in transaction mode.
//
// Deadlines: an attempt to connect ends after `timeout`. Each statement has `timeout`, counted from query() or from the
// answer to the previous statement, whichever is later. At that deadline the connection is closed, because all later
// statements wait too.
//
// Errors: query() throws Error. Error::failure() shows whether the statement may have been executed.
//
// When the server goes away: all unanswered statements fail at once with Failure::in_doubt. The connection reconnects
// until stop(), after a pause that grows from 50 ms to 1 s. Until then each statement fails at once with
// Failure::unavailable.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "client/postgres/error.h"
#include "client/postgres/params.h"
#include "client/postgres/result.h"

namespace sealcast::client::postgres {

struct ConnectionSettings {
  std::string dsn;
  std::string name;  // for the log: "admission", "relay", …
  std::chrono::milliseconds timeout;
  std::size_t max_queued = 1024;  // statements without an answer; one more fails as unavailable
};

class Connection {
 public:
  using Clock = std::chrono::steady_clock;

  static std::shared_ptr<Connection> create(asio::any_io_executor executor, ConnectionSettings settings);
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  virtual void start() = 0;
  virtual void stop() = 0;
  // Closes the connection and connects again, for example when the server is a standby.
  virtual void reset(const std::string& reason) = 0;

  // Runs one statement. Throws Error. `sql` must outlive the call; `params` may be changed once the call is suspended.
  virtual asio::awaitable<Result> query(const char* sql, const Params& params = kNoParams) = 0;

  // Returns true when connected, false at `deadline` or when the connection is stopped.
  virtual asio::awaitable<bool> wait_connected(Clock::time_point deadline) = 0;

  // True once Postgres has answered a statement on this connection (a pooler accepts connections without a server) and
  // the extension has the interface version of this sidecar.
  virtual bool connected() const noexcept = 0;
  // Why the extension does not work with this sidecar, and what to do. Empty unless that prevents the connection.
  virtual const std::string& incompatible_extension() const noexcept = 0;
  virtual std::size_t queued() const noexcept = 0;  // statements without an answer
  virtual const std::string& name() const noexcept = 0;

  // Called on the event loop: after each connect, after each loss of the connection, and for each NOTIFY.
  std::function<void()> on_connect;
  std::function<void()> on_loss;
  std::function<void(std::string_view channel)> on_notify;

 protected:
  Connection() = default;
};

}  // namespace sealcast::client::postgres
