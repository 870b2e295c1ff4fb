// Implements the connection to Postgres. run() connects and reads the answers. send() passes statements to libpq, which
// buffers and writes them.
#include "client/postgres/connection.h"

#include <libpq-fe.h>

#include <algorithm>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <exception>
#include <utility>
#include <vector>

#include "base/event.h"
#include "base/log.h"
#include "client/postgres/dsn.h"
#include "client/postgres/interface_version.h"

namespace sealcast::client::postgres {

namespace {

using Clock = Connection::Clock;

// The pause between two attempts to connect doubles from the first to the longest.
constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{1000};
constexpr std::chrono::milliseconds kCancelGrace{1000};  // how long Postgres may take to cancel a statement

auto ignoring(boost::system::error_code& ec) { return asio::redirect_error(asio::use_awaitable, ec); }

// libpq ends its messages with a newline.
std::string trimmed(const char* message) {
  std::string text = message ? message : "";
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

Error error_of(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  std::string message = trimmed(primary ? primary : PQresultErrorMessage(result));
  // An error without a SQLSTATE comes from libpq itself, and means that the connection is lost.
  if (!state) return Error(Failure::in_doubt, message);
  const char* detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
  const char* hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
  return Error(Failure::refused, message, state, detail ? detail : "", hint ? hint : "");
}

bool failed(const PGresult* result) {
  ExecStatusType status = PQresultStatus(result);
  return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
}

// Warnings of Postgres, and notices of libpq (they have no severity), are logged as warnings for the operator. Notices
// of a lower severity are logged as debug messages, for the authors of SQL functions.
void log_notice(void* connection, const PGresult* notice) noexcept {
  const char* severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  const bool warning = !severity || std::string_view(severity) == "WARNING";
  const char* primary = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
  const char* state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
  log::write(warning ? log::Level::warn : log::Level::debug, log::tag::kDatabase, "Postgres sent a notice",
             {{"connection", static_cast<const Connection*>(connection)->name()},
              {"notice", trimmed(primary ? primary : PQresultErrorMessage(notice))},
              {"sqlstate", std::string_view(state ? state : "")}});
}

// Asks for the interface version, and replaces the settings that a role or database may carry and that change how our
// statements work. The query names pg_catalog, because search_path is one of these settings. A server without one of
// the settings skips it. Through a pooler in transaction mode, the statement reaches only one server connection.
constexpr char kInterface[] =
    "select sealcast.interface_version(), pg_catalog.count(pg_catalog.set_config(s.name, v.value, false))"
    " from (values ('search_path', 'pg_catalog, pg_temp'), ('client_encoding', 'UTF8'),"
    " ('standard_conforming_strings', 'on'), ('bytea_output', 'hex'), ('DateStyle', 'ISO, MDY'),"
    " ('IntervalStyle', 'postgres'), ('TimeZone', 'UTC'), ('row_security', 'on'),"
    " ('default_transaction_isolation', 'read committed'), ('default_transaction_read_only', 'off'),"
    " ('default_transaction_deferrable', 'off'), ('statement_timeout', $1), ('lock_timeout', '0'),"
    " ('transaction_timeout', '0'), ('idle_session_timeout', '0'), ('idle_in_transaction_session_timeout', '0')) v "
    "(name, value)"
    " join pg_catalog.pg_settings s on s.name operator(pg_catalog.=) v.name";
constexpr std::string_view kUndefinedSchema = "3F000";
constexpr std::string_view kUndefinedFunction = "42883";
constexpr std::string_view kInsufficientPrivilege = "42501";

std::string incompatibility_of(std::int64_t interface) {
  if (interface == kInterfaceVersion) return {};
  return "the extension sealcast has interface version " + std::to_string(interface) +
         ", and sealcastd " SEALCAST_VERSION " needs " + std::to_string(kInterfaceVersion) +
         (interface < kInterfaceVersion ? ": install its new version and run ALTER EXTENSION sealcast UPDATE"
                                        : ": run the sealcastd of the extension's version");
}

std::string incompatibility_of(const Error& error, const char* role) {
  if (error.sqlstate() == kInsufficientPrivilege) {
    return std::string("the role ") + role + " may not use the extension sealcast (" + error.what() +
           "): run GRANT sealcast_service TO " + role;
  }
  if (error.sqlstate() != kUndefinedSchema && error.sqlstate() != kUndefinedFunction) return {};
  return std::string("the database has no extension sealcast with an interface version (") + error.what() +
         "): run CREATE EXTENSION sealcast, or ALTER EXTENSION sealcast UPDATE";
}

}  // namespace

class PipelinedConnection final : public Connection, public std::enable_shared_from_this<PipelinedConnection> {
 public:
  PipelinedConnection(asio::any_io_executor executor, ConnectionSettings settings);
  ~PipelinedConnection() override;

  void start() override;
  void stop() override;
  void reset(const std::string& reason) override { disconnect(reason); }
  asio::awaitable<Result> query(const char* sql, const Params& params) override;
  asio::awaitable<bool> wait_connected(Clock::time_point deadline) override;
  bool connected() const noexcept override { return connected_; }
  const std::string& incompatible_extension() const noexcept override { return incompatible_extension_; }
  std::size_t queued() const noexcept override { return pending_.size(); }
  const std::string& name() const noexcept override { return settings_.name; }

 private:
  using Handler = asio::any_completion_handler<void(std::exception_ptr, Result)>;
  struct Pending {
    Handler handler;
    PGresult* result;
    Clock::time_point deadline;  // applies after all earlier statements are answered
  };

  asio::awaitable<void> run();
  asio::awaitable<void> connect();
  asio::awaitable<void> connect_to(const std::string& dsn, const std::string& password);
  asio::awaitable<void> read();
  void check_interface_version();
  void send(const char* sql, const Params& params, Handler handler);
  void flush();
  void read_results();
  void watch_deadline();
  void disconnect(const std::string& reason);
  void set_incompatible_extension(std::string reason);
  std::chrono::milliseconds longest_wait() const {
    return settings_.timeout + (settings_.server_timeout ? kCancelGrace : std::chrono::milliseconds(0));
  }
  static std::pair<std::exception_ptr, Result> answer_of(const Pending& pending, const std::string* loss);

  asio::any_io_executor executor_;
  ConnectionSettings settings_;
  PGconn* conn_ = nullptr;
  asio::posix::stream_descriptor socket_;
  asio::steady_timer deadline_timer_;
  std::deque<Pending> pending_;
  bool linked_ = false;          // libpq has a connection on which statements can be sent
  bool connected_ = false;       // linked_, and Postgres has answered with the right interface version
  Event connected_or_stopping_;  // wakes wait_connected()
  std::chrono::milliseconds pause_ = kFirstPause;
  Event stopping_;
  bool failure_logged_ = false;  // a failed attempt to connect was logged since the last successful one
  std::string incompatible_extension_;
  bool flushing_ = false;
  bool watching_deadline_ = false;
};

PipelinedConnection::PipelinedConnection(asio::any_io_executor executor, ConnectionSettings settings)
    : executor_(executor),
      settings_(std::move(settings)),
      socket_(executor),
      deadline_timer_(executor),
      connected_or_stopping_(executor),
      stopping_(executor) {}

PipelinedConnection::~PipelinedConnection() {
  if (socket_.is_open()) socket_.release();
  if (conn_) PQfinish(conn_);
}

void PipelinedConnection::start() {
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->run(); }, asio::detached);
}

void PipelinedConnection::stop() {
  stopping_.set();
  connected_or_stopping_.set();
  disconnect("sealcastd is stopping");
}

asio::awaitable<void> PipelinedConnection::run() {
  auto self = shared_from_this();
  while (!stopping_.is_set()) {
    std::string problem;
    try {
      co_await connect();
      if (stopping_.is_set()) break;
      linked_ = true;
      check_interface_version();
      co_await read();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (!problem.empty()) {
      incompatible_extension_.clear();
      disconnect(problem);
    }
    if (stopping_.is_set()) break;
    co_await stopping_.wait_for(pause_);
    pause_ = std::min(pause_ * 2, kLongestPause);
  }
}

// Tries each address in turn, as libpq does.
asio::awaitable<void> PipelinedConnection::connect() {
  const std::string password = settings_.dsn.password.text();
  const std::string dsn = with_password(settings_.dsn.text, password);
  const std::vector<std::string> dsns = co_await dsn_of_each_address(dsn, settings_.timeout);
  for (std::size_t i = 0; i < dsns.size() && !stopping_.is_set(); ++i) {
    std::string problem;
    try {
      co_await connect_to(dsns[i], password);
      co_return;
    } catch (const Error& error) {
      if (i + 1 == dsns.size()) throw;
      problem = error.what();
    }
    disconnect(problem);
  }
}

asio::awaitable<void> PipelinedConnection::connect_to(const std::string& dsn, const std::string& password) {
  const std::string name = "sealcastd, " + settings_.name;
  const char* const keywords[] = {"dbname", "fallback_application_name", nullptr};
  const char* const values[] = {dsn.c_str(), name.c_str(), nullptr};
  conn_ = PQconnectStartParams(keywords, values, 1);
  if (!conn_) throw std::bad_alloc();
  PQsetNoticeReceiver(conn_, log_notice, static_cast<Connection*>(this));
  if (PQstatus(conn_) == CONNECTION_BAD) throw Error(Failure::unavailable, trimmed(PQerrorMessage(conn_)));

  auto timed_out = std::make_shared<bool>(false);
  asio::steady_timer timer(executor_, connect_timeout(dsn, settings_.timeout));
  timer.async_wait([self = shared_from_this(), timed_out](boost::system::error_code ec) {
    if (ec || self->connected_) return;
    *timed_out = true;
    boost::system::error_code ignored;
    if (self->socket_.is_open()) self->socket_.cancel(ignored);
  });

  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK) {
    socket_.assign(PQsocket(conn_));  // libpq may open a new socket, for example without TLS
    boost::system::error_code ec;
    auto wait = status == PGRES_POLLING_WRITING ? socket_.wait_write : socket_.wait_read;
    co_await socket_.async_wait(wait, ignoring(ec));
    if (socket_.is_open()) socket_.release();
    if (stopping_.is_set()) co_return;
    if (*timed_out || ec) throw Error(Failure::unavailable, *timed_out ? "the connection timed out" : ec.message());
    status = PQconnectPoll(conn_);
    if (status == PGRES_POLLING_FAILED) {
      // libpq does not return the SQLSTATE of a failed login, and poolers send their own. So the password is read again
      // whenever the server had asked for it.
      if (PQconnectionUsedPassword(conn_) != 0) settings_.dsn.password.read_again(password);
      throw Error(Failure::unavailable, trimmed(PQerrorMessage(conn_)));
    }
  }
  PQsetnonblocking(conn_, 1);
  if (!PQenterPipelineMode(conn_)) throw Error(Failure::unavailable, trimmed(PQerrorMessage(conn_)));
  socket_.assign(PQsocket(conn_));
}

void PipelinedConnection::check_interface_version() {
  auto done = [self = shared_from_this()](const std::exception_ptr& error, const Result& rows) {
    if (!self->linked_) return;
    try {
      if (error) std::rethrow_exception(error);
      self->set_incompatible_extension(incompatibility_of(rows.integer(0, 0)));
    } catch (const Error& refused) {
      self->set_incompatible_extension(incompatibility_of(refused, PQuser(self->conn_)));
      return self->disconnect(refused.what());
    }
    if (!self->incompatible_extension_.empty()) return self->disconnect(self->incompatible_extension_);
    log::write(log::Level::info, log::tag::kDatabase, "connected to Postgres", {{"connection", self->settings_.name}});
    self->connected_ = true;
    self->failure_logged_ = false;
    self->pause_ = kFirstPause;
    self->connected_or_stopping_.set();
    if (self->on_connect) self->on_connect();
  };
  Params params;
  params.add(settings_.server_timeout ? std::to_string(settings_.timeout.count()) : std::string("0"));
  send(kInterface, params, asio::bind_executor(executor_, std::move(done)));
}

// Each attempt to connect checks the version again. A reason that repeats is logged only once.
void PipelinedConnection::set_incompatible_extension(std::string reason) {
  if (!reason.empty() && reason != incompatible_extension_) {
    log::write(log::Level::error, log::tag::kDatabase, "the extension does not work with this sidecar; checking again",
               {{"connection", settings_.name}, {"reason", reason}});
    failure_logged_ = true;
  }
  incompatible_extension_ = std::move(reason);
}

asio::awaitable<void> PipelinedConnection::read() {
  while (linked_) {
    boost::system::error_code ec;
    co_await socket_.async_wait(socket_.wait_read, ignoring(ec));
    if (!linked_) co_return;
    if (ec) throw Error(Failure::in_doubt, ec.message());
    bool alive = PQconsumeInput(conn_) == 1;
    std::string problem = alive ? std::string() : trimmed(PQerrorMessage(conn_));
    read_results();
    if (!linked_) co_return;
    if (!alive || PQstatus(conn_) == CONNECTION_BAD) {
      throw Error(Failure::in_doubt, problem.empty() ? trimmed(PQerrorMessage(conn_)) : problem);
    }
    while (PGnotify* notice = PQnotifies(conn_)) {
      std::unique_ptr<PGnotify, void (*)(void*)> owner(notice, PQfreemem);
      if (on_notify) on_notify(notice->relname);
    }
  }
}

// Returns the error that query() throws or the rows that it returns. `loss` is the reason why the connection was lost,
// or null if the answer is complete.
std::pair<std::exception_ptr, Result> PipelinedConnection::answer_of(const Pending& pending, const std::string* loss) {
  Result result(pending.result);
  if (pending.result && failed(pending.result)) return {std::make_exception_ptr(error_of(pending.result)), Result()};
  if (!loss && pending.result) return {nullptr, std::move(result)};
  return {std::make_exception_ptr(Error(Failure::in_doubt, loss ? *loss : "Postgres sent no answer")), Result()};
}

// Each statement is followed by its own Sync message, which ends its transaction. So the results of a statement end
// with PGRES_PIPELINE_SYNC.
void PipelinedConnection::read_results() {
  int nulls = 0;
  while (linked_ && !pending_.empty() && !PQisBusy(conn_)) {
    PGresult* result = PQgetResult(conn_);
    // PQgetResult() returns null once between the rows of a statement and its PGRES_PIPELINE_SYNC. On a lost connection
    // it may return null for ever.
    if (!result) {
      if (++nulls > 2) return;
      continue;
    }
    nulls = 0;
    if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
      PGresult*& last = pending_.front().result;
      if (last && failed(last)) {
        PQclear(result);
      } else {
        PQclear(last);
        last = result;
      }
      if (PQstatus(conn_) == CONNECTION_BAD) return;
      continue;
    }
    PQclear(result);
    Pending done = std::move(pending_.front());
    pending_.pop_front();
    if (!pending_.empty()) pending_.front().deadline = Clock::now() + longest_wait();
    // The handler is called directly, because this code never runs within query().
    auto [error, rows] = answer_of(done, nullptr);
    std::move(done.handler)(std::move(error), std::move(rows));
  }
}

asio::awaitable<Result> PipelinedConnection::query(const char* sql, const Params& params) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(std::exception_ptr, Result)>(
      [this](auto handler, const char* text, const Params* values) {
        if (connected_) return send(text, *values, Handler(std::move(handler)));
        auto error = std::make_exception_ptr(Error(Failure::unavailable, "not connected to Postgres"));
        asio::post(executor_, asio::append(std::move(handler), std::move(error), Result()));
      },
      asio::use_awaitable, sql, &params);
}

void PipelinedConnection::send(const char* sql, const Params& params, Handler handler) {
  auto fail = [&](const std::string& message) {
    auto error = std::make_exception_ptr(Error(Failure::unavailable, message));
    asio::post(executor_, asio::append(std::move(handler), std::move(error), Result()));
  };
  if (!linked_) return fail("not connected to Postgres");
  if (pending_.size() >= settings_.max_queued) return fail("too many statements are waiting for Postgres");

  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> sizes, formats;
  for (const Params::Value& value : params.values_) {
    types.push_back(value.type);
    values.push_back(value.null ? nullptr : params.buffer_.data() + value.begin);
    sizes.push_back(static_cast<int>(value.size));
    formats.push_back(1);
  }
  int count = static_cast<int>(values.size());
  if (!PQsendQueryParams(conn_, sql, count, types.data(), values.data(), sizes.data(), formats.data(), 1) ||
      !PQpipelineSync(conn_)) {
    fail(trimmed(PQerrorMessage(conn_)));
    // The connection must be closed: if a statement was sent without its Sync, all later answers would go to the wrong
    // statements.
    boost::system::error_code ignored;
    socket_.cancel(ignored);
    return disconnect("libpq could not send a statement");
  }
  pending_.push_back({std::move(handler), nullptr, Clock::now() + longest_wait()});
  flush();
  watch_deadline();
}

// libpq buffers the bytes that the socket does not accept yet. While such bytes wait, libpq must also read (or both
// sides could wait for each other); read() does this.
void PipelinedConnection::flush() {
  if (flushing_ || !linked_) return;
  int unsent = PQflush(conn_);
  if (unsent == 0) return;
  if (unsent < 0) return disconnect(trimmed(PQerrorMessage(conn_)));
  flushing_ = true;
  socket_.async_wait(socket_.wait_write, [self = shared_from_this()](boost::system::error_code ec) {
    self->flushing_ = false;
    if (!ec) self->flush();
  });
}

// One timer serves all statements. It waits for the deadline of the statement that was the oldest when the timer was
// set. It is not set again for each statement, so it fires at most twice per timeout.
void PipelinedConnection::watch_deadline() {
  if (watching_deadline_ || pending_.empty()) return;
  watching_deadline_ = true;
  deadline_timer_.expires_at(pending_.front().deadline);
  deadline_timer_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
    self->watching_deadline_ = false;
    if (ec || self->pending_.empty()) return;
    if (self->pending_.front().deadline <= Clock::now()) {
      self->disconnect("Postgres did not answer a statement within " + std::to_string(self->longest_wait().count()) +
                       " ms");
    } else {
      self->watch_deadline();
    }
  });
}

void PipelinedConnection::disconnect(const std::string& reason) {
  linked_ = false;
  bool was_connected = std::exchange(connected_, false);
  if (!stopping_.is_set()) connected_or_stopping_.clear();
  if (socket_.is_open()) {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
    socket_.release();
  }
  deadline_timer_.cancel();
  if (conn_) PQfinish(std::exchange(conn_, nullptr));
  // The results are posted to the event loop, because disconnect() may run within query().
  for (Pending& pending : std::exchange(pending_, {})) {
    auto [error, rows] = answer_of(pending, &reason);
    asio::post(executor_, asio::append(std::move(pending.handler), std::move(error), std::move(rows)));
  }
  if (!stopping_.is_set() && (was_connected || !std::exchange(failure_logged_, true))) {
    log::write(log::Level::warn, log::tag::kDatabase,
               was_connected ? "lost the connection to Postgres; reconnecting" : "cannot connect to Postgres; retrying",
               {{"connection", settings_.name}, {"reason", reason}});
  }
  if (was_connected && on_loss) on_loss();
}

asio::awaitable<bool> PipelinedConnection::wait_connected(Clock::time_point deadline) {
  auto self = shared_from_this();
  while (!connected_ && !stopping_.is_set() && Clock::now() < deadline) {
    co_await connected_or_stopping_.wait_until(deadline);
  }
  co_return connected_;
}

std::shared_ptr<Connection> Connection::create(asio::any_io_executor executor, ConnectionSettings settings) {
  return std::make_shared<PipelinedConnection>(std::move(executor), std::move(settings));
}

}  // namespace sealcast::client::postgres
