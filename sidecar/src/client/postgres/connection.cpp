// The connection's two halves: run() connects and reads, send() queues statements and lets libpq write them.
#include "client/postgres/connection.h"

#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/log.h"
#include "client/postgres/dsn.h"
#include "client/postgres/interface.h"

namespace sealcast::client::postgres {

namespace {

constexpr std::chrono::milliseconds kLastBackoff{1000};

auto ignoring(boost::system::error_code& ec) { return asio::redirect_error(asio::use_awaitable, ec); }

// libpq ends its messages with a newline.
std::string trimmed(const char* message) {
  std::string text = message ? message : "";
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

Error refusal(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  std::string message = trimmed(primary ? primary : PQresultErrorMessage(result));
  // Without a SQLSTATE it was libpq that failed: the connection is gone.
  if (!state) return Error(Failure::in_doubt, message);
  const char* detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
  const char* hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
  return Error(Failure::refused, message, state, detail ? detail : "", hint ? hint : "");
}

bool failed(const PGresult* result) {
  ExecStatusType status = PQresultStatus(result);
  return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
}

// Warnings, and what libpq itself has to say, are of interest; what functions RAISE below that is theirs.
void log_notice(void* connection, const PGresult* notice) noexcept {
  const char* severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  const bool warning = !severity || std::string_view(severity) == "WARNING";
  const char* primary = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
  const char* state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
  log::write(warning ? log::Level::warn : log::Level::debug, log::tag::kDatabase, "Postgres has something to say",
             {{"connection", static_cast<const Connection*>(connection)->name()},
              {"notice", trimmed(primary ? primary : PQresultErrorMessage(notice))},
              {"sqlstate", std::string_view(state ? state : "")}});
}

constexpr char kInterface[] = "select sealcast.interface_version()";
constexpr std::string_view kUndefinedSchema = "3F000";
constexpr std::string_view kUndefinedFunction = "42883";

std::string misfit_of(std::int64_t interface) {
  if (interface == kInterfaceVersion) return {};
  return "the extension sealcast has interface " + std::to_string(interface) +
         ", sealcastd " SEALCAST_VERSION " needs " + std::to_string(kInterfaceVersion) +
         (interface < kInterfaceVersion ? ": install its new version and run ALTER EXTENSION sealcast UPDATE"
                                        : ": run the sealcastd of the extension's version");
}

std::string misfit_of(const Error& error) {
  if (error.sqlstate() != kUndefinedSchema && error.sqlstate() != kUndefinedFunction) return {};
  return std::string("the database has no extension sealcast that tells its interface (") + error.what() +
         "): run CREATE EXTENSION sealcast, or ALTER EXTENSION sealcast UPDATE";
}

}  // namespace

std::shared_ptr<Connection> Connection::create(asio::any_io_executor executor, ConnectionSettings settings) {
  return std::shared_ptr<Connection>(new Connection(std::move(executor), std::move(settings)));
}

Connection::Connection(asio::any_io_executor executor, ConnectionSettings settings)
    : executor_(executor),
      settings_(std::move(settings)),
      socket_(executor),
      deadline_timer_(executor),
      connected_timer_(executor, asio::steady_timer::time_point::max()),
      backoff_timer_(executor) {}

Connection::~Connection() {
  if (socket_.is_open()) socket_.release();
  if (conn_) PQfinish(conn_);
}

void Connection::start() {
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->run(); }, asio::detached);
}

void Connection::stop() {
  stopping_ = true;
  backoff_timer_.cancel();
  connected_timer_.cancel();
  lose("sealcastd is stopping");
}

asio::awaitable<void> Connection::run() {
  auto self = shared_from_this();
  while (!stopping_) {
    std::string problem;
    try {
      co_await connect();
      if (stopping_) break;
      linked_ = true;
      probe();
      co_await read();
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (!problem.empty()) {
      misfit_.clear();
      lose(problem);
    }
    if (stopping_) break;
    boost::system::error_code ignored;
    backoff_timer_.expires_after(backoff_);
    co_await backoff_timer_.async_wait(ignoring(ignored));
    backoff_ = std::min(backoff_ * 2, kLastBackoff);
  }
}

asio::awaitable<void> Connection::connect() {
  std::string dsn = co_await with_addresses(settings_.dsn);
  if (stopping_) co_return;
  const std::string name = "sealcastd, " + settings_.name;
  const char* const keywords[] = {"dbname", "fallback_application_name", nullptr};
  const char* const values[] = {dsn.c_str(), name.c_str(), nullptr};
  conn_ = PQconnectStartParams(keywords, values, 1);
  if (!conn_) throw std::bad_alloc();
  PQsetNoticeReceiver(conn_, log_notice, this);
  if (PQstatus(conn_) == CONNECTION_BAD) throw Error(Failure::unavailable, trimmed(PQerrorMessage(conn_)));

  auto late = std::make_shared<bool>(false);
  asio::steady_timer timer(executor_, settings_.timeout);
  timer.async_wait([self = shared_from_this(), late](boost::system::error_code ec) {
    if (ec || self->connected_) return;
    *late = true;
    boost::system::error_code ignored;
    if (self->socket_.is_open()) self->socket_.cancel(ignored);
  });

  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK) {
    socket_.assign(PQsocket(conn_));  // each address that is tried has a socket of its own
    boost::system::error_code ec;
    auto wait = status == PGRES_POLLING_WRITING ? socket_.wait_write : socket_.wait_read;
    co_await socket_.async_wait(wait, ignoring(ec));
    if (socket_.is_open()) socket_.release();
    if (stopping_) co_return;
    if (*late || ec) throw Error(Failure::unavailable, *late ? "no connection in time" : ec.message());
    status = PQconnectPoll(conn_);
    if (status == PGRES_POLLING_FAILED) throw Error(Failure::unavailable, trimmed(PQerrorMessage(conn_)));
  }
  PQsetnonblocking(conn_, 1);
  if (!PQenterPipelineMode(conn_)) throw Error(Failure::unavailable, trimmed(PQerrorMessage(conn_)));
  socket_.assign(PQsocket(conn_));
}

void Connection::probe() {
  auto done = [self = shared_from_this()](const std::exception_ptr& error, const Result& rows) {
    if (!self->linked_) return;
    try {
      if (error) std::rethrow_exception(error);
      self->set_misfit(misfit_of(rows.integer(0, 0)));
    } catch (const Error& refused) {
      self->set_misfit(misfit_of(refused));
      return self->lose(refused.what());
    }
    if (!self->misfit_.empty()) return self->lose(self->misfit_);
    log::write(log::Level::info, log::tag::kDatabase, "connected to Postgres", {{"connection", self->settings_.name}});
    self->connected_ = true;
    self->complained_ = false;
    self->backoff_ = kFirstBackoff;
    self->connected_timer_.cancel();
    if (self->on_connect) self->on_connect();
  };
  send(kInterface, kNoParams, asio::bind_executor(executor_, std::move(done)));
}

// Each attempt to connect asks anew; only the first answer of its kind is news.
void Connection::set_misfit(std::string misfit) {
  if (!misfit.empty() && misfit != misfit_) {
    log::write(log::Level::error, log::tag::kDatabase, "the extension does not go with this sidecar; asking again",
               {{"connection", settings_.name}, {"reason", misfit}});
    complained_ = true;
  }
  misfit_ = std::move(misfit);
}

asio::awaitable<void> Connection::read() {
  while (linked_) {
    boost::system::error_code ec;
    co_await socket_.async_wait(socket_.wait_read, ignoring(ec));
    if (!linked_) co_return;
    if (ec) throw Error(Failure::in_doubt, ec.message());
    bool alive = PQconsumeInput(conn_) == 1;
    std::string problem = alive ? std::string() : trimmed(PQerrorMessage(conn_));
    drain_results();
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

// What the one who waits is told. `loss`: why no (further) answer will come.
std::pair<std::exception_ptr, Result> Connection::outcome(const Pending& pending, const std::string* loss) {
  Result result(pending.result);
  if (pending.result && failed(pending.result)) return {std::make_exception_ptr(refusal(pending.result)), Result()};
  if (!loss && pending.result) return {nullptr, std::move(result)};
  return {std::make_exception_ptr(Error(Failure::in_doubt, loss ? *loss : "no answer")), Result()};
}

// Each statement ends with PGRES_PIPELINE_SYNC, since each has a Sync, and so a transaction, of its own.
void Connection::drain_results() {
  int nothing = 0;
  while (linked_ && !pending_.empty() && !PQisBusy(conn_)) {
    PGresult* result = PQgetResult(conn_);
    if (!result) {  // once between a statement's rows and its sync; for ever on a dead connection
      if (++nothing > 2) return;
      continue;
    }
    nothing = 0;
    if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
      PGresult*& kept = pending_.front().result;
      if (kept && failed(kept)) {
        PQclear(result);
      } else {
        PQclear(kept);
        kept = result;
      }
      if (PQstatus(conn_) == CONNECTION_BAD) return;
      continue;
    }
    PQclear(result);
    Pending done = std::move(pending_.front());
    pending_.pop_front();
    if (!pending_.empty()) pending_.front().deadline = Clock::now() + settings_.timeout;
    // Called as it is: this is the event loop's thread, and no caller's frame is below.
    auto [error, rows] = outcome(done, nullptr);
    std::move(done.handler)(std::move(error), std::move(rows));
  }
}

asio::awaitable<Result> Connection::query(const char* sql, const Params& params) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(std::exception_ptr, Result)>(
      [this](auto handler, const char* text, const Params* values) {
        if (connected_) return send(text, *values, Handler(std::move(handler)));
        auto error = std::make_exception_ptr(Error(Failure::unavailable, "not connected to Postgres"));
        asio::post(executor_, asio::append(std::move(handler), std::move(error), Result()));
      },
      asio::use_awaitable, sql, &params);
}

void Connection::send(const char* sql, const Params& params, Handler handler) {
  auto refuse = [&](const std::string& message) {
    auto error = std::make_exception_ptr(Error(Failure::unavailable, message));
    asio::post(executor_, asio::append(std::move(handler), std::move(error), Result()));
  };
  if (!linked_) return refuse("not connected to Postgres");
  if (pending_.size() >= settings_.max_queued) return refuse("too many statements are waiting for Postgres");

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
    refuse(trimmed(PQerrorMessage(conn_)));
    // A statement without its sync would answer for the next one.
    boost::system::error_code ignored;
    socket_.cancel(ignored);
    return lose("could not send a statement");
  }
  pending_.push_back({std::move(handler), nullptr, Clock::now() + settings_.timeout});
  flush();
  watch_deadline();
}

// libpq keeps what the socket does not take; it must also read meanwhile, which read() does.
void Connection::flush() {
  if (flushing_ || !linked_) return;
  int left = PQflush(conn_);
  if (left == 0) return;
  if (left < 0) return lose(trimmed(PQerrorMessage(conn_)));
  flushing_ = true;
  socket_.async_wait(socket_.wait_write, [self = shared_from_this()](boost::system::error_code ec) {
    self->flushing_ = false;
    if (!ec) self->flush();
  });
}

// One timer for the statement whose turn it is; it fires at most once per timeout, not once per statement.
void Connection::watch_deadline() {
  if (watching_ || pending_.empty()) return;
  watching_ = true;
  deadline_timer_.expires_at(pending_.front().deadline);
  deadline_timer_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
    self->watching_ = false;
    if (ec || self->pending_.empty()) return;
    if (self->pending_.front().deadline <= Clock::now()) {
      self->lose("Postgres did not answer a statement within " + std::to_string(self->settings_.timeout.count()) +
                 " ms");
    } else {
      self->watch_deadline();
    }
  });
}

void Connection::lose(const std::string& reason) {
  linked_ = false;
  bool was_connected = std::exchange(connected_, false);
  if (socket_.is_open()) {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
    socket_.release();
  }
  deadline_timer_.cancel();
  if (conn_) PQfinish(std::exchange(conn_, nullptr));
  // Posted, since this may run inside query().
  for (Pending& pending : std::exchange(pending_, {})) {
    auto [error, rows] = outcome(pending, &reason);
    asio::post(executor_, asio::append(std::move(pending.handler), std::move(error), std::move(rows)));
  }
  if (!stopping_ && (was_connected || !std::exchange(complained_, true))) {
    log::write(log::Level::warn, log::tag::kDatabase,
               was_connected ? "lost the connection to Postgres" : "cannot connect to Postgres; trying again",
               {{"connection", settings_.name}, {"reason", reason}});
  }
  if (was_connected && on_loss) on_loss();
}

asio::awaitable<bool> Connection::wait_connected(Clock::time_point deadline) {
  auto self = shared_from_this();
  while (!connected_ && !stopping_) {
    asio::steady_timer timer(executor_, deadline);
    timer.async_wait([self](boost::system::error_code ec) {
      if (!ec) self->connected_timer_.cancel();
    });
    boost::system::error_code ignored;
    co_await connected_timer_.async_wait(ignoring(ignored));
    if (Clock::now() >= deadline) break;
  }
  co_return connected_;
}

}  // namespace sealcast::client::postgres
