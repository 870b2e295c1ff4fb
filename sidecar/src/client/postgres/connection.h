// One connection to Postgres that keeps itself connected: libpq in pipeline mode on the event loop.
//
// Only what PgBouncer in transaction mode passes on: unnamed statements, each its own transaction, nothing asked of the
// session at startup beyond the DSN. Statements are sent at once and answered in order. A statement whose answer does
// not come within `timeout` of its turn takes the connection down, since nothing behind it could be answered either.
#pragma once

#include <libpq-fe.h>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

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

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  static std::shared_ptr<Connection> create(asio::any_io_executor executor, ConnectionSettings settings);
  ~Connection();

  // Connects, and connects again after each loss with backoff, until stop().
  void start();
  void stop();

  // Gives the connection up and connects anew, for example when the server turned out to be a standby.
  void reset(const std::string& reason) { lose(reason); }

  const std::string& name() const noexcept { return settings_.name; }
  // Postgres itself has answered on this connection (a pooler in between accepts connections without it), and its
  // extension goes with this sidecar.
  bool connected() const noexcept { return connected_; }
  // Why the extension does not go with this sidecar, and what to do; empty unless that is what hinders the connection.
  const std::string& misfit() const noexcept { return misfit_; }
  std::size_t queued() const noexcept { return pending_.size(); }

  // Runs one statement. Throws Error. `sql` must outlive the call, `params` need not.
  asio::awaitable<Result> query(const char* sql, const Params& params = kNoParams);

  // True when connected, false when `deadline` passed first.
  asio::awaitable<bool> wait_connected(Clock::time_point deadline);

  // Called on the event loop after each connect, after each loss, and for NOTIFY.
  std::function<void()> on_connect;
  std::function<void()> on_loss;
  std::function<void(std::string_view channel)> on_notify;

 private:
  using Handler = asio::any_completion_handler<void(std::exception_ptr, Result)>;
  struct Pending {
    Handler handler;
    PGresult* result;
    Clock::time_point deadline;  // set when its turn comes
  };

  Connection(asio::any_io_executor executor, ConnectionSettings settings);
  asio::awaitable<void> run();
  asio::awaitable<void> connect();
  asio::awaitable<void> read();
  void probe();
  void send(const char* sql, const Params& params, Handler handler);
  void flush();
  void drain_results();
  void watch_deadline();
  void lose(const std::string& reason);
  void set_misfit(std::string misfit);
  static std::pair<std::exception_ptr, Result> outcome(const Pending& pending, const std::string* loss);

  static constexpr std::chrono::milliseconds kFirstBackoff{50};

  asio::any_io_executor executor_;
  ConnectionSettings settings_;
  PGconn* conn_ = nullptr;
  asio::posix::stream_descriptor socket_;
  asio::steady_timer deadline_timer_;
  asio::steady_timer connected_timer_;  // expires never; cancelled to wake wait_connected()
  asio::steady_timer backoff_timer_;
  std::deque<Pending> pending_;
  bool linked_ = false;     // the socket stands
  bool connected_ = false;  // and the first statement was answered as it should be
  std::chrono::milliseconds backoff_ = kFirstBackoff;
  bool complained_ = false;  // since the last connect
  std::string misfit_;
  bool stopping_ = false;
  bool flushing_ = false;
  bool watching_ = false;
};

}  // namespace sealcast::client::postgres
