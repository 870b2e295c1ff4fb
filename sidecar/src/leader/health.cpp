// Runs the loop that reads sealcast_internal.readiness() and uncarried(), and sets the metrics of the relay's lag.
#include "leader/health.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "base/log.h"

namespace sealcast::leader {

namespace {

constexpr std::chrono::seconds kPeriod{1};
// The gauge of the lag must grow while Postgres does not answer, so a reading must end soon.
constexpr std::chrono::milliseconds kMaxTimeout{2000};
constexpr char kRead[] = "select relay_lag_ms, missing_partitions, read_only from sealcast_internal.readiness()";
enum Column { kLag, kMissing, kReadOnly };
constexpr char kUncarried[] =
    "select transport, cardinality(shards), array_to_string(shards, ', ') from sealcast_internal.uncarried()";

}  // namespace

Health::Health(asio::any_io_executor executor, postgres::Dsn dsn, std::chrono::milliseconds timeout, Metrics& metrics)
    : executor_(executor),
      metrics_(metrics),
      connection_(postgres::Connection::create(executor, {std::move(dsn), "health", std::min(timeout, kMaxTimeout)})),
      stopped_(executor),
      uncarried_(metrics) {}

Health::~Health() { stop(); }

void Health::start() {
  read_at_ = Clock::now();
  connection_->start();
  asio::co_spawn(executor_, run(), asio::detached);
}

void Health::stop() {
  stopped_.set();
  connection_->stop();
}

asio::awaitable<void> Health::run() {
  bool failing = false;
  while (!stopped_.is_set()) {
    std::string failure;
    try {
      const bool known = co_await read();
      if (!known) failure = "a table of the relay is locked";
      co_await read_uncarried();
    } catch (const postgres::Error& error) {
      failure = error.what();
    }
    if (stopped_.is_set()) break;
    if (!failure.empty() && !std::exchange(failing, true)) {
      log::write(log::Level::warn, log::tag::kRelay, "the lag of the relay cannot be read; its metric grows",
                 {{"reason", failure}});
    }
    if (failure.empty()) failing = false;
    // A message that is not relayed now was not relayed at the last reading, or was committed later.
    const std::chrono::duration<double> age = Clock::now() - read_at_;
    metrics_.relay_lag_seconds.Set((lag_ + (failure.empty() ? age.zero() : age)).count());
    metrics_.relay_lag_age_seconds.Set(failure.empty() ? 0 : age.count());
    co_await stopped_.wait_for(kPeriod);
  }
}

asio::awaitable<bool> Health::read() {
  if (!connection_->connected()) {
    const bool connected = co_await connection_->wait_connected(Clock::now() + kPeriod);
    if (!connected) throw postgres::Error(postgres::Failure::unavailable, "not connected to Postgres");
  }
  const postgres::Result rows = co_await connection_->query(kRead);
  if (!rows.null(0, kReadOnly)) read_only_ = rows.boolean(0, kReadOnly);
  if (!rows.null(0, kMissing)) {
    std::string missing(rows.text(0, kMissing));
    if (!missing.empty() && missing_partitions_.empty()) {
      log::write(log::Level::error, log::tag::kDatabase, "there is no partition for new rows; run sealcast.maintain()",
                 {{"tables", missing}});
    }
    missing_partitions_ = std::move(missing);
    loaded_ = true;
  }
  if (rows.null(0, kLag)) co_return false;
  lag_ = std::chrono::milliseconds(rows.integer(0, kLag));
  read_at_ = Clock::now();
  co_return true;
}

// While a table is locked, the last reading counts.
asio::awaitable<void> Health::read_uncarried() {
  constexpr std::string_view kLocked = "55P03";
  enum { kTransport, kShards, kIds };
  std::vector<Uncarried::Transport> transports;
  try {
    const postgres::Result rows = co_await connection_->query(kUncarried);
    for (int row = 0; row < rows.size(); ++row) {
      transports.push_back({std::string(rows.text(row, kTransport)), static_cast<int>(rows.integer(row, kShards)),
                            std::string(rows.text(row, kIds))});
    }
  } catch (const postgres::Error& error) {
    if (error.sqlstate() != kLocked) throw;
    co_return;
  }
  uncarried_.update(transports, Clock::now());
}

std::string Health::partitions_problem() const {
  if (!loaded_) return "the partitions were not read yet";
  if (missing_partitions_.empty()) return {};
  return "there is no partition for new rows of " + missing_partitions_ + ": run select * from sealcast.maintain()";
}

std::string Health::read_only_problem() const {
  return read_only_ ? "the database is read-only: it is a standby, or default_transaction_read_only is on" : "";
}

}  // namespace sealcast::leader
