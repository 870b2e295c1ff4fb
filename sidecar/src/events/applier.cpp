// Sends the SQL statements that apply events to Postgres. Each statement runs under the timeout of its handler. Counts
// applied, repeated, failed, dead and forged events.
#include "events/applier.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/event.h"
#include "base/log.h"
#include "client/postgres/connection.h"

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;
using Clock = postgres::Connection::Clock;

constexpr char kTimeout[] = "select set_config('statement_timeout', $1, false)";
// clean_session() returns no row. An Append runs its parts one after the other.
constexpr char kApply[] =
    "select outcome, reason from sealcast_internal.apply_events($1, $2, $3, $4, $5, $6, $7) "
    "union all select outcome, reason from sealcast_internal.clean_session()";
constexpr char kClean[] = "select from sealcast_internal.clean_session()";
constexpr char kFail[] = "select sealcast_internal.fail_event($1, $2, $3, $4, $5, $6, $7)";

// Longer than the longest timeout of a handler, so that Postgres ends the statement and reports it.
constexpr std::chrono::seconds kConnectionTimeout{75};
// A statement with transient failures is tried this many times. After that, the events are treated as the cause.
constexpr int kAttempts = 3;
constexpr milliseconds kPauseAfterFailure{50};
constexpr milliseconds kPauseAfterRefusal{500};
constexpr std::string_view kQueryCanceled = "57014";
constexpr std::string_view kLockNotAvailable = "55P03";
constexpr std::string_view kAccessRuleViolation = "42";  // class: unknown function, missing privilege, …

// Jitter: workers that failed together do not retry together.
asio::awaitable<void> pause(milliseconds least) { return sleep_for(random_between(least, 2 * least)); }

}  // namespace

class Applier::Impl {
 public:
  Impl(asio::any_io_executor executor, Metrics::Worker metrics, postgres::Dsn dsn, std::string group,
       std::size_t lanes);
  ~Impl();
  void start();
  void finish();
  void stop();
  asio::awaitable<bool> apply(const EventHandler& handler, Lease lease, std::span<const EntryPtr> entries,
                              LaneKind kind);

 private:
  struct Lane {
    std::shared_ptr<postgres::Connection> connection;
    milliseconds timeout{0};  // the statement_timeout that was set on this connection; 0: none was set yet
    bool busy = false;
  };
  enum class Trouble {
    none,
    transient,        // caused by another transaction, or by the server (for example out of resources)
    connection_lost,  // the cause and the result are unknown: an event may have crashed its backend
    lasting,          // caused by the events
  };
  enum class Result {
    none,    // the lease has ended, the handler is no longer registered, or finish() was called
    done,    // each event has an outcome, and none of them failed
    failed,  // each event has an outcome, and one of them failed and will be retried
  };
  struct Attempt {
    Trouble trouble = Trouble::none;
    Result result = Result::none;
    std::string reason;
  };

  asio::awaitable<Lane*> acquire_lane(LaneKind kind);  // returns null after finish()
  void release_lane(Lane& lane);
  asio::awaitable<void> clean_after(const postgres::Error& error, Lane& lane);
  asio::awaitable<Result> apply_one(const EventHandler& handler, Lease lease, const EntryPtr& entry, LaneKind kind);
  asio::awaitable<Attempt> attempt_repeatedly(const EventHandler& handler, Lease lease,
                                              std::span<const EntryPtr> entries, LaneKind kind);
  asio::awaitable<Attempt> attempt(const EventHandler& handler, Lease lease, std::span<const EntryPtr> entries,
                                   LaneKind kind);
  Result read_outcomes(const EventHandler& handler, Lease lease, std::span<const EntryPtr> entries,
                       const postgres::Result& rows);
  asio::awaitable<Result> record_failure(const EventHandler& handler, Lease lease, const Entry& entry,
                                         std::string_view reason, LaneKind kind);
  void count_dead(const EventHandler& handler, const Entry& entry, std::string_view reason);
  void count_forged(Lease lease, const Entry& entry, std::string_view reason);

  Metrics::Worker metrics_;
  std::string group_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // the last one is the retry lane
  Event lane_released_;
  log::Throttle log_throttle_;
  log::Throttle forged_throttle_;
  std::int64_t forged_ = 0;  // forged entries since the last log message about them
  bool finishing_ = false;
};

Applier::Impl::Impl(asio::any_io_executor executor, Metrics::Worker metrics, postgres::Dsn dsn, std::string group,
                    std::size_t lanes)
    : metrics_(metrics), group_(std::move(group)), lane_released_(executor) {
  for (std::size_t i = 0; i <= lanes; ++i) {
    auto lane = std::make_unique<Lane>();
    lane->connection = postgres::Connection::create(executor, {dsn, "events of " + group_, kConnectionTimeout});
    lane->connection->on_connect = [this, lane = lane.get()] {
      lane->timeout = milliseconds(0);
      lane_released_.set();
    };
    lanes_.push_back(std::move(lane));
  }
}

Applier::Impl::~Impl() {
  for (const auto& lane : lanes_) {
    lane->connection->on_connect = nullptr;
    lane->connection->stop();
  }
}

void Applier::Impl::start() {
  for (const auto& lane : lanes_) lane->connection->start();
}

void Applier::Impl::finish() {
  finishing_ = true;
  lane_released_.set();
}

void Applier::Impl::stop() {
  finish();
  for (const auto& lane : lanes_) lane->connection->stop();
}

asio::awaitable<Applier::Impl::Lane*> Applier::Impl::acquire_lane(LaneKind kind) {
  const std::size_t retry_lane = lanes_.size() - 1;
  const std::size_t first = kind == LaneKind::retry ? retry_lane : 0;
  const std::size_t end = kind == LaneKind::retry ? lanes_.size() : retry_lane;
  while (!finishing_) {
    for (std::size_t i = first; i < end; ++i) {
      if (lanes_[i]->busy || !lanes_[i]->connection->connected()) continue;
      lanes_[i]->busy = true;
      co_return lanes_[i].get();
    }
    lane_released_.clear();
    co_await lane_released_.wait_until();
  }
  co_return nullptr;
}

void Applier::Impl::release_lane(Lane& lane) {
  lane.busy = false;
  lane_released_.set();
}

asio::awaitable<bool> Applier::Impl::apply(const EventHandler& handler, Lease lease, std::span<const EntryPtr> entries,
                                           LaneKind kind) {
  if (entries.size() == 1) {
    const Result alone = co_await apply_one(handler, lease, entries.front(), kind);
    co_return alone != Result::none;
  }
  const Attempt batch = co_await attempt_repeatedly(handler, lease, entries, kind);
  if (batch.trouble == Trouble::none) co_return batch.result != Result::none;
  // The batch failed as a whole, so apply its events one at a time. When an event that was read from a partition fails,
  // Postgres holds the later events of its sender. Waiting events are all of one sender, so they are left waiting.
  for (const EntryPtr& entry : entries) {
    const Result alone = co_await apply_one(handler, lease, entry, kind);
    if (alone == Result::none) co_return false;
    if (alone == Result::failed && kind == LaneKind::retry) break;
  }
  co_return true;
}

asio::awaitable<Applier::Impl::Result> Applier::Impl::apply_one(const EventHandler& handler, Lease lease,
                                                                const EntryPtr& entry, LaneKind kind) {
  const Attempt tried = co_await attempt_repeatedly(handler, lease, std::span(&entry, 1), kind);
  if (tried.trouble == Trouble::none) co_return tried.result;
  co_return co_await record_failure(handler, lease, *entry, tried.reason, kind);
}

// Retries failures that the events may not have caused. After the first lost connection the events are retried. After
// the second one they are treated as the cause: an event that crashes its backend restarts the whole PostgreSQL server
// each time, so it must not be retried often.
asio::awaitable<Applier::Impl::Attempt> Applier::Impl::attempt_repeatedly(const EventHandler& handler, Lease lease,
                                                                          std::span<const EntryPtr> entries,
                                                                          LaneKind kind) {
  bool connection_was_lost = false;
  for (int attempts = 1;; ++attempts) {
    Attempt tried = co_await attempt(handler, lease, entries, kind);
    const bool again = tried.trouble == Trouble::transient
                           ? attempts < kAttempts
                           : tried.trouble == Trouble::connection_lost && !std::exchange(connection_was_lost, true);
    if (!again) co_return tried;
    co_await pause(kPauseAfterFailure);
  }
}

// Runs one statement. Waits while Postgres is unavailable or refuses the call of the handler, because no event can
// cause these two failures. After finish(), the result is none.
asio::awaitable<Applier::Impl::Attempt> Applier::Impl::attempt(const EventHandler& handler, Lease lease,
                                                               std::span<const EntryPtr> entries, LaneKind kind) {
  postgres::Params params;
  params.add(std::string_view(group_));
  params.add(std::string_view(handler.name));
  params.add(lease.partition);
  params.add(lease.epoch);
  params.begin_array(postgres::oid::kTextArray, postgres::oid::kText, entries.size());
  for (const EntryPtr& entry : entries) params.element(std::string_view(entry->envelope));
  params.end_array();
  params.begin_array(postgres::oid::kBigintArray, postgres::oid::kBigint, entries.size());
  for (const EntryPtr& entry : entries) params.element(entry->offset);
  params.end_array();
  if (kind == LaneKind::retry) {
    params.add_null(postgres::oid::kTextArray);
  } else {
    params.begin_array(postgres::oid::kTextArray, postgres::oid::kText, entries.size());
    for (const EntryPtr& entry : entries) params.element(std::string_view(to_string(entry->id)));
    params.end_array();
  }

  while (Lane* const lane = co_await acquire_lane(kind)) {
    Attempt tried;
    std::optional<postgres::Error> error;
    const auto began = Clock::now();
    try {
      if (lane->timeout != handler.timeout) {
        postgres::Params timeout;
        timeout.add(std::string_view(std::to_string(handler.timeout.count())));
        co_await lane->connection->query(kTimeout, timeout);
        lane->timeout = handler.timeout;
      }
      const postgres::Result rows = co_await lane->connection->query(kApply, params);
      handler.metrics.seconds.Observe(std::chrono::duration<double>(Clock::now() - began).count());
      tried.result = read_outcomes(handler, lease, entries, rows);
    } catch (const postgres::Error& caught) {
      error = caught;
    }
    if (error) co_await clean_after(*error, *lane);
    release_lane(*lane);
    if (!error) co_return tried;
    tried.reason = error->what();
    if (error->sqlstate() == kQueryCanceled) {
      tried.trouble = Trouble::lasting;
      tried.reason = "it took longer than " + std::to_string(handler.timeout.count()) + " ms";
      co_return tried;
    }
    if (error->failure() == postgres::Failure::refused && error->sqlstate().starts_with(kAccessRuleViolation)) {
      if (log_throttle_.allows()) {
        log::write(log::Level::error, log::tag::kWorker, "the handler cannot be called; retrying",
                   {{"handler", std::string_view(handler.name)},
                    {"sqlstate", error->sqlstate()},
                    {"reason", std::string_view(error->what())}});
      }
      co_await pause(kPauseAfterRefusal);
      continue;
    }
    if (error->failure() == postgres::Failure::unavailable) continue;
    const bool transient = error->serialization() || error->transient() || error->sqlstate() == kLockNotAvailable;
    tried.trouble = error->failure() == postgres::Failure::in_doubt ? Trouble::connection_lost
                    : transient                                     ? Trouble::transient
                                                                    : Trouble::lasting;
    co_return tried;
  }
  Attempt none;
  co_return none;
}

// A statement that fails undoes its changes, but not what a handler left in the session, such as advisory locks.
asio::awaitable<void> Applier::Impl::clean_after(const postgres::Error& error, Lane& lane) {
  if (error.failure() != postgres::Failure::refused) co_return;
  try {
    co_await lane.connection->query(kClean);
  } catch (const postgres::Error&) {
    // The connection is lost, and its session with it.
  }
}

Applier::Impl::Result Applier::Impl::read_outcomes(const EventHandler& handler, Lease lease,
                                                   std::span<const EntryPtr> entries, const postgres::Result& rows) {
  Result result = rows.size() > 0 ? Result::done : Result::none;
  for (int row = 0; row < rows.size(); ++row) {
    const Entry& entry = *entries[static_cast<std::size_t>(row)];
    const std::string_view outcome = rows.text(row, 0);
    if (outcome == "applied") {
      handler.metrics.applied.Increment();
    } else if (outcome == "repeated") {
      handler.metrics.repeated.Increment();
    } else if (outcome == "failed") {
      handler.metrics.failed.Increment();
      result = Result::failed;
    } else if (outcome == "dead") {
      count_dead(handler, entry, rows.text(row, 1));
    } else if (outcome == "forged") {
      count_forged(lease, entry, rows.text(row, 1));
    }
  }
  return result;
}

// Records a failed attempt in Postgres. Postgres decides whether the event is retried or becomes a dead letter. Returns
// none also when the entry contains no message.
asio::awaitable<Applier::Impl::Result> Applier::Impl::record_failure(const EventHandler& handler, Lease lease,
                                                                     const Entry& entry, std::string_view reason,
                                                                     LaneKind kind) {
  postgres::Params params;
  params.add(std::string_view(group_));
  params.add(std::string_view(handler.name));
  params.add(lease.partition);
  params.add(lease.epoch);
  params.add(std::string_view(entry.envelope));
  params.add(entry.offset);
  params.add(reason);
  while (Lane* const lane = co_await acquire_lane(kind)) {
    std::optional<postgres::Result> rows;
    try {
      rows = co_await lane->connection->query(kFail, params);
    } catch (const postgres::Error& error) {
      // If the statement was executed before the error, its retry counts the attempt a second time, which is harmless.
      if (!error.transient() && log_throttle_.allows()) {
        log::write(log::Level::error, log::tag::kWorker, "Postgres did not record a failed event; retrying",
                   {{"handler", std::string_view(handler.name)},
                    {"offset", entry.offset},
                    {"sqlstate", error.sqlstate()},
                    {"reason", std::string_view(error.what())}});
      }
    }
    release_lane(*lane);
    if (!rows) {
      co_await pause(kPauseAfterFailure);
      continue;
    }
    if (rows->size() == 0 || rows->null(0, 0)) co_return Result::none;
    if (rows->text(0, 0) == "dead") {
      count_dead(handler, entry, reason);
      co_return Result::done;
    }
    handler.metrics.failed.Increment();
    co_return Result::failed;
  }
  co_return Result::none;
}

void Applier::Impl::count_dead(const EventHandler& handler, const Entry& entry, std::string_view reason) {
  handler.metrics.dead.Increment();
  if (!log_throttle_.allows()) return;
  log::write(log::Level::warn, log::tag::kWorker, "the handler gave an event up; it is a dead letter now",
             {{"handler", std::string_view(handler.name)}, {"offset", entry.offset}, {"reason", reason}});
}

void Applier::Impl::count_forged(Lease lease, const Entry& entry, std::string_view reason) {
  metrics_.forged.Increment();
  ++forged_;
  if (!forged_throttle_.allows()) return;
  log::write(log::Level::error, log::tag::kSecurity,
             "entries of the event partitions are not messages of Sealcast; another program writes to this Redis",
             {{"group", std::string_view(group_)},
              {"partition", std::int64_t{lease.partition}},
              {"entry", std::string_view(to_string(entry.id))},
              {"reason", reason},
              {"count", forged_}});
  forged_ = 0;
}

Applier::Applier(asio::any_io_executor executor, Metrics::Worker metrics, postgres::Dsn dsn, std::string group,
                 std::size_t lanes)
    : impl_(std::make_unique<Impl>(std::move(executor), metrics, std::move(dsn), std::move(group), lanes)) {}

Applier::~Applier() = default;

void Applier::start() { impl_->start(); }

void Applier::finish() { impl_->finish(); }

void Applier::stop() { impl_->stop(); }

asio::awaitable<bool> Applier::apply(const EventHandler& handler, Lease lease, std::span<const EntryPtr> entries,
                                     LaneKind kind) {
  return impl_->apply(handler, lease, entries, kind);
}

}  // namespace sealcast::events
