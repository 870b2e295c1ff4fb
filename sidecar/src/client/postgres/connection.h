// One connection to Postgres that keeps itself connected: libpq in pipeline mode on the event loop.
//
// Use: unnamed statements, each in its own transaction. A statement is sent at once, even while earlier statements have
// no answer yet. Answers arrive in order. The first statement replaces settings of the database and the role. No other
// statement changes state of the session, so it works through PgBouncer in transaction mode.
//
// Deadlines: an attempt to connect to one address ends after the DSN's connect_timeout, else after `timeout`. Each
// statement has `timeout`, counted from query() or from the answer to the previous statement, whichever is later. At
// that deadline the connection is closed, because all later statements wait for the same answer. With server_timeout,
// Postgres cancels the statement at the deadline (SQLSTATE 57014), and the connection stays. It is closed only if the
// answer does not come within another second, for example behind a pooler that does not pass on the setting.
//
// Errors: query() throws Error. Error::failure() shows whether the statement may have been executed.
//
// When the server goes away: all unanswered statements fail at once with Failure::in_doubt. The connection tries to
// reconnect until stop(). The pause between two attempts grows from 50 ms to 1 s. While there is no connection, each
// statement fails at once with Failure::unavailable. After a failed login the file of the password is read again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "client/postgres/conninfo.h"
#include "client/postgres/error.h"
#include "client/postgres/params.h"
#include "client/postgres/result.h"

namespace sealcast::client::postgres {

struct ConnectionSettings {
  Dsn dsn;
  std::string name;  // for the log, for example "admission" or "relay"
  std::chrono::milliseconds timeout;
  std::size_t max_queued = 1024;  // maximum of statements without an answer; a further one fails as unavailable
  bool server_timeout = false;    // Postgres cancels a statement after `timeout`
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
  // Closes the connection and connects again, for example because the server is a standby. Unanswered statements fail.
  virtual void reset(const std::string& reason) = 0;

  // Runs one statement. Throws Error. `sql` must stay valid until the call returns. `params` is copied when the call is
  // awaited, so the caller may change it while the call waits for its answer.
  virtual asio::awaitable<Result> query(const char* sql, const Params& params = kNoParams) = 0;

  // Waits until connected() is true. Returns false when `deadline` or stop() comes first.
  virtual asio::awaitable<bool> wait_connected(Clock::time_point deadline) = 0;

  // Returns true when Postgres has answered a statement on this connection, and the answer shows that the extension has
  // the interface version of this sidecar. An open connection alone is not enough: a pooler accepts connections even
  // while it has no server.
  virtual bool connected() const noexcept = 0;
  // Returns why the extension does not work with this sidecar, and what the operator must do. Returns an empty text
  // when the extension works, or when the connection failed for another reason.
  virtual const std::string& incompatible_extension() const noexcept = 0;
  virtual std::size_t queued() const noexcept = 0;  // statements without an answer
  virtual const std::string& name() const noexcept = 0;

  // The connection calls these functions on the event loop: on_connect after each connect, on_loss after each loss of
  // the connection (also within stop(), reset() and query()), and on_notify for each NOTIFY.
  std::function<void()> on_connect;
  std::function<void()> on_loss;
  std::function<void(std::string_view channel)> on_notify;

 protected:
  Connection() = default;
};

}  // namespace sealcast::client::postgres
