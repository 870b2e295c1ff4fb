// The statements, and what to do when one of them fails.
#include "events/applier.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>
#include <set>
#include <utility>

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;
using Clock = postgres::Connection::Clock;

constexpr char kTimeout[] = "select set_config('statement_timeout', $1, false)";
constexpr char kApply[] = "select outcome, reason from sealcast.apply_events($1, $2, $3, $4, $5, $6, $7)";
constexpr char kFail[] = "select sealcast.fail_event($1, $2, $3, $4, $5, $6, $7)";

// Beyond the longest timeout of a handler, so that Postgres ends a statement and not this side.
constexpr std::chrono::seconds kNoAnswer{75};
constexpr int kAttempts = 3;  // that deadlocks and the like may cost, before the events are suspected
constexpr milliseconds kAfterTrouble{50};
constexpr milliseconds kAfterRefusal{1000};
constexpr std::string_view kCanceled = "57014";
constexpr std::string_view kLockNotAvailable = "55P03";

void add_lease(postgres::Params& params, Lease lease) {
  if (lease.partition) {
    params.add(*lease.partition);
    params.add(lease.epoch);
  } else {
    params.add_null(postgres::oid::kInteger);
    params.add_null(postgres::oid::kBigint);
  }
}

}  // namespace

Applier::Applier(asio::any_io_executor executor, Metrics::Worker metrics, Settings settings)
    : executor_(executor),
      metrics_(metrics),
      settings_(std::move(settings)),
      freed_(executor, Clock::time_point::max()) {
  for (std::size_t i = 0; i <= settings_.lanes; ++i) {
    auto lane = std::make_unique<Lane>();
    lane->connection =
        postgres::Connection::create(executor, {settings_.dsn, "events of " + settings_.group, kNoAnswer});
    lane->connection->on_connect = [this, lane = lane.get()] {
      lane->timeout = milliseconds(0);
      freed_.cancel();
    };
    lanes_.push_back(std::move(lane));
  }
}

Applier::~Applier() {
  for (const auto& lane : lanes_) {
    lane->connection->on_connect = nullptr;
    lane->connection->stop();
  }
}

void Applier::start() {
  for (const auto& lane : lanes_) lane->connection->start();
}

void Applier::stop() {
  stopped_ = true;
  for (const auto& lane : lanes_) lane->connection->stop();
  freed_.cancel();
}

asio::awaitable<Applier::Lane*> Applier::take_lane(bool apart) {
  while (!stopped_) {
    for (std::size_t i = apart ? settings_.lanes : 0; i < (apart ? lanes_.size() : settings_.lanes); ++i) {
      if (lanes_[i]->busy || !lanes_[i]->connection->connected()) continue;
      lanes_[i]->busy = true;
      co_return lanes_[i].get();
    }
    boost::system::error_code ignored;
    co_await freed_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return nullptr;
}

void Applier::give_back(Lane& lane) {
  lane.busy = false;
  freed_.cancel();
}

asio::awaitable<void> Applier::pause(milliseconds least) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto most = std::uniform_int_distribution<milliseconds::rep>(0, least.count())(random);
  asio::steady_timer timer(executor_, least + milliseconds(most));
  co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<std::vector<Applied>> Applier::apply(const EventHandler& handler, Lease lease,
                                                     std::span<const EntryPtr> entries, bool apart) {
  if (entries.size() == 1) co_return co_await apply_alone(handler, lease, entries.front(), apart);
  Attempt tried = co_await insist(handler, lease, entries, apart);
  if (tried.trouble == Trouble::none) co_return std::move(tried.outcomes);
  // One by one; what a sender said after one that failed waits for it.
  std::vector<Applied> outcomes;
  std::set<std::string, std::less<>> failing;
  for (const EntryPtr& entry : entries) {
    if (failing.contains(entry->sender())) {
      outcomes.push_back(Applied::retry);
      continue;
    }
    const std::vector<Applied> alone = co_await apply_alone(handler, lease, entry, apart);
    if (alone.empty()) co_return alone;
    outcomes.push_back(alone.front());
    if (alone.front() == Applied::retry) failing.emplace(entry->sender());
  }
  co_return outcomes;
}

asio::awaitable<std::vector<Applied>> Applier::apply_alone(const EventHandler& handler, Lease lease,
                                                           const EntryPtr& entry, bool apart) {
  Attempt tried = co_await insist(handler, lease, std::span(&entry, 1), apart);
  if (tried.trouble == Trouble::none) co_return std::move(tried.outcomes);
  const auto outcome = co_await fail(handler, lease, *entry, tried.reason, apart);
  std::vector<Applied> outcomes;
  if (outcome) outcomes.push_back(*outcome);
  co_return outcomes;
}

// Tries again what may have been nobody's fault. A connection is lost once without suspicion: an event that brings its
// backend down takes the whole of Postgres with it each time.
asio::awaitable<Applier::Attempt> Applier::insist(const EventHandler& handler, Lease lease,
                                                  std::span<const EntryPtr> entries, bool apart) {
  bool lost = false;
  for (int attempts = 1;; ++attempts) {
    Attempt tried = co_await attempt(handler, lease, entries, apart);
    const bool again = tried.trouble == Trouble::transient
                           ? attempts < kAttempts
                           : tried.trouble == Trouble::lost && !std::exchange(lost, true);
    if (!again) co_return tried;
    co_await pause(kAfterTrouble);
  }
}

// Comes back with outcomes or with trouble that is about these entries; anything else is waited for.
asio::awaitable<Applier::Attempt> Applier::attempt(const EventHandler& handler, Lease lease,
                                                   std::span<const EntryPtr> entries, bool apart) {
  postgres::Params params;
  params.add(std::string_view(settings_.group));
  params.add(std::string_view(handler.name));
  add_lease(params, lease);
  params.begin_array(postgres::oid::kTextArray, postgres::oid::kText, entries.size());
  for (const EntryPtr& entry : entries) params.element(std::string_view(entry->envelope));
  params.end_array();
  params.begin_array(postgres::oid::kBigintArray, postgres::oid::kBigint, entries.size());
  for (const EntryPtr& entry : entries) params.element(entry->offset);
  params.end_array();
  params.begin_array(postgres::oid::kTextArray, postgres::oid::kText, entries.size());
  for (const EntryPtr& entry : entries) params.element(std::string_view(to_string(entry->id)));
  params.end_array();

  while (Lane* const lane = co_await take_lane(apart)) {
    Attempt result;
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
      for (int row = 0; row < rows.size(); ++row) {
        const std::string_view outcome = rows.text(row, 0);
        if (outcome == "applied") {
          handler.metrics.applied.Increment();
          result.outcomes.push_back(Applied::done);
        } else if (outcome == "repeated" || outcome == "other") {
          if (outcome == "repeated") handler.metrics.repeated.Increment();
          result.outcomes.push_back(Applied::done);
        } else if (outcome == "failed" || outcome == "held") {
          if (outcome == "failed") handler.metrics.failed.Increment();
          result.outcomes.push_back(Applied::retry);
        } else if (outcome == "dead") {
          note_dead(handler, *entries[static_cast<std::size_t>(row)], rows.text(row, 1));
          result.outcomes.push_back(Applied::dead);
        } else {
          note_forged(lease, *entries[static_cast<std::size_t>(row)], rows.text(row, 1));
          result.outcomes.push_back(Applied::forged);
        }
      }
    } catch (const postgres::Error& caught) {
      error = caught;
    }
    give_back(*lane);
    if (!error) co_return result;
    result.reason = error->what();
    if (error->sqlstate() == kCanceled) {
      result.trouble = Trouble::lasting;
      result.reason = "it took longer than " + std::to_string(handler.timeout.count()) + " ms";
      co_return result;
    }
    // The handler or its rights are not as they should be, which is not the fault of any event.
    if (error->failure() == postgres::Failure::refused && error->sqlstate().starts_with("42")) {
      if (complaints_.allows()) {
        log::write(log::Level::error, log::tag::kWorker, "events cannot be applied; trying again",
                   {{"handler", std::string_view(handler.name)},
                    {"sqlstate", error->sqlstate()},
                    {"reason", std::string_view(error->what())}});
      }
      co_await pause(kAfterRefusal);
      continue;
    }
    if (error->failure() == postgres::Failure::unavailable) continue;
    // In doubt: Postgres ended, or an event has brought its backend down.
    const bool another = error->serialization() || error->transient() || error->sqlstate() == kLockNotAvailable;
    result.trouble = error->failure() == postgres::Failure::in_doubt ? Trouble::lost
                     : another                                       ? Trouble::transient
                                                                     : Trouble::lasting;
    co_return result;
  }
  co_return Attempt{};
}

asio::awaitable<std::optional<Applied>> Applier::fail(const EventHandler& handler, Lease lease, const Entry& entry,
                                                      std::string_view reason, bool apart) {
  postgres::Params params;
  params.add(std::string_view(settings_.group));
  params.add(std::string_view(handler.name));
  add_lease(params, lease);
  params.add(std::string_view(entry.envelope));
  params.add(entry.offset);
  params.add(reason);
  while (Lane* const lane = co_await take_lane(apart)) {
    std::optional<postgres::Result> rows;
    try {
      rows = co_await lane->connection->query(kFail, params);
    } catch (const postgres::Error&) {
      // Not counted, or counted twice: either will do.
    }
    give_back(*lane);
    if (!rows) {
      co_await pause(kAfterTrouble);
      continue;
    }
    if (rows->size() == 0 || rows->null(0, 0)) co_return std::nullopt;
    if (rows->text(0, 0) == "dead") {
      note_dead(handler, entry, reason);
      co_return Applied::dead;
    }
    handler.metrics.failed.Increment();
    co_return Applied::retry;
  }
  co_return std::nullopt;
}

void Applier::note_dead(const EventHandler& handler, const Entry& entry, std::string_view reason) {
  handler.metrics.dead.Increment();
  if (!complaints_.allows()) return;
  log::write(log::Level::warn, log::tag::kWorker, "gave an event up: it is a dead letter now",
             {{"handler", std::string_view(handler.name)}, {"offset", entry.offset}, {"reason", reason}});
}

void Applier::note_forged(Lease lease, const Entry& entry, std::string_view reason) {
  metrics_.forged.Increment();
  ++forged_;
  if (!forgeries_.allows()) return;
  log::write(log::Level::error, log::tag::kSecurity,
             "entries of the event partitions are no messages of ours; somebody else writes to this Redis",
             {{"group", std::string_view(settings_.group)},
              {"partition", std::int64_t{lease.partition.value_or(-1)}},
              {"entry", std::string_view(to_string(entry.id))},
              {"reason", reason},
              {"count", forged_}});
  forged_ = 0;
}

}  // namespace sealcast::events
