// Adds to the partitions, and sees to them.
#include "events/redis_events.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"
#include "events/event_partitions.h"
#include "transport/redis_streams/service.h"

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;

constexpr char kState[] =
    "select losses, carrying, partition, last_ms, last_seq from sealcast.event_partitions_state()";
constexpr char kGroups[] = "select g from sealcast.event_groups() g";
constexpr char kNote[] = "select sealcast.note_event_partitions($1, $2, $3, $4)";
constexpr char kRewind[] = "select complete, since::text from sealcast.rewind_events($1)";

constexpr std::size_t kMaxBatch = 256;
constexpr milliseconds kWatchEvery{1000};

// Sees to the partitions, in rounds. Outlives the adapter while a round is under way.
class Upkeep : public std::enable_shared_from_this<Upkeep> {
 public:
  Upkeep(const asio::any_io_executor& executor, const config::Settings& settings, redis::Options options)
      : partitions(executor, settings.redis_events, std::move(options)),
        settings_(settings.redis_events),
        connection_(
            postgres::Connection::create(executor, {settings.relay.dsn, "redis_events", settings.postgres.timeout})),
        timer_(executor) {}

  void start() {
    partitions.client().start();
    connection_->start();
    asio::co_spawn(
        timer_.get_executor(), [self = shared_from_this()] { return self->run(); }, asio::detached);
  }

  void stop() {
    stopped_ = true;
    timer_.cancel();
    connection_->stop();
    partitions.client().stop();
  }

  void count_in(Metrics& metrics) { metrics_ = &metrics; }

  // Why nothing is added now; empty: it is.
  std::string holds_back() {
    if (!known_) return "what was added before is not known yet";
    if (partitions.lost()) {
      timer_.cancel();
      return "Redis has lost what it held";
    }
    if (!carrying_) return "what Redis has lost is carried again first";
    if (memory_percent_ < settings_.max_memory_percent) return {};
    return "Redis uses " + std::to_string(memory_percent_) + " % of its maxmemory, the bound is " +
           std::to_string(settings_.max_memory_percent);
  }

  EventPartitions partitions;

 private:
  asio::awaitable<void> run() {
    while (!stopped_) {
      try {
        co_await round();
      } catch (const postgres::Error& error) {
        if (error.failure() == postgres::Failure::refused && !error.transient() && complaints_.allows()) {
          log::write(log::Level::error, log::tag::kDelivery, "the event partitions cannot be seen to; trying again",
                     {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
        }
      }
      if (stopped_) break;
      timer_.expires_after(std::min(kWatchEvery, settings_.trim_every));
      co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }

  asio::awaitable<void> round() {
    co_await read_state();
    if (partitions.lost()) {
      co_await rewind();
      co_await read_state();
    }
    memory_percent_ = co_await partitions.memory_percent();
    if (redis::Clock::now() >= next_trim_) {
      next_trim_ = redis::Clock::now() + settings_.trim_every;
      co_await trim();
    }
    co_await note();
  }

  asio::awaitable<void> read_state() {
    enum { kLosses, kCarrying, kPartition, kMs, kSeq };
    const postgres::Result rows = co_await connection_->query(kState);
    std::vector<EntryId> newest(partitions.count());
    for (int row = 0; row < rows.size(); ++row) {
      const auto partition = static_cast<std::size_t>(rows.integer(row, kPartition));
      if (rows.null(row, kPartition) || partition >= newest.size()) continue;
      newest[partition] = {static_cast<std::uint64_t>(rows.integer(row, kMs)),
                           static_cast<std::uint64_t>(rows.integer(row, kSeq))};
    }
    if (!known_ || losses_ != rows.integer(0, kLosses)) {
      noted_ = newest;
      partitions.expect(std::move(newest));
    }
    losses_ = rows.integer(0, kLosses);
    carrying_ = rows.boolean(0, kCarrying);
    known_ = true;
  }

  asio::awaitable<void> rewind() {
    params_.clear();
    params_.add(losses_);
    const postgres::Result rows = co_await connection_->query(kRewind, params_);
    if (rows.size() == 0 || rows.null(0, 0)) co_return;  // another sidecar has seen it first
    const std::string_view since = rows.text(0, 1);
    if (since.empty()) {
      log::write(log::Level::error, log::tag::kDelivery,
                 "Redis has lost entries of the event partitions, and no handler is registered; for consumers of your "
                 "own run sealcastd replay --from TIMESTAMP");
    } else if (rows.boolean(0, 0)) {
      log::write(log::Level::error, log::tag::kDelivery,
                 "Redis has lost entries of the event partitions; carrying them again", {{"since", since}});
    } else {
      log::write(log::Level::error, log::tag::kDelivery,
                 "Redis has lost entries of the event partitions, more than the log of batches reaches back; run "
                 "sealcastd replay --from the time in since",
                 {{"since", since}});
    }
  }

  asio::awaitable<void> trim() {
    const postgres::Result rows = co_await connection_->query(kGroups);
    std::vector<std::string> groups;
    groups.reserve(static_cast<std::size_t>(rows.size()));
    for (int row = 0; row < rows.size(); ++row) groups.emplace_back(rows.text(row, 0));
    std::map<std::string, GroupLag> totals;
    for (std::size_t n = 0; n < partitions.count() && !stopped_; ++n) {
      for (const GroupLag& lag : co_await partitions.upkeep(n, groups, settings_.max_age)) {
        GroupLag& total = totals[lag.name];
        total.pending += lag.pending;
        total.unread += std::max<std::int64_t>(lag.unread, 0);
        total.oldest_ms = std::max(total.oldest_ms, lag.oldest_ms);
      }
    }
    if (metrics_ == nullptr || stopped_) co_return;
    for (const auto& [name, lag] : totals) {
      const Metrics::EventGroup group = metrics_->event_group(name);
      group.pending.Set(static_cast<double>(lag.pending));
      group.unread.Set(static_cast<double>(lag.unread));
      group.oldest_seconds.Set(static_cast<double>(lag.oldest_ms) / 1000);
    }
  }

  // So that whoever comes after this process knows what Redis must still have.
  asio::awaitable<void> note() {
    std::vector<std::int32_t> changed;
    std::vector<std::int64_t> ms, seq;
    const std::vector<EntryId> newest = partitions.newest();
    for (std::size_t n = 0; n < newest.size(); ++n) {
      if (newest[n] <= noted_[n]) continue;
      changed.push_back(static_cast<std::int32_t>(n));
      ms.push_back(static_cast<std::int64_t>(newest[n].ms));
      seq.push_back(static_cast<std::int64_t>(newest[n].seq));
    }
    if (changed.empty() || partitions.lost()) co_return;
    params_.clear();
    params_.add(losses_);
    params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, changed);
    params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, ms);
    params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, seq);
    co_await connection_->query(kNote, params_);
    noted_ = newest;
  }

  const config::Settings::RedisEvents settings_;
  std::shared_ptr<postgres::Connection> connection_;
  asio::steady_timer timer_;
  Metrics* metrics_ = nullptr;
  postgres::Params params_;
  std::vector<EntryId> noted_;
  std::int64_t losses_ = 0;
  bool known_ = false;
  bool carrying_ = false;
  int memory_percent_ = 0;
  redis::Clock::time_point next_trim_{};
  log::Throttle complaints_;
  bool stopped_ = false;
};

class RedisEvents final : public transport::outside::Adapter {
 public:
  explicit RedisEvents(std::shared_ptr<Upkeep> upkeep) : upkeep_(std::move(upkeep)) {}

  std::size_t max_batch() const override { return kMaxBatch; }
  void count_in(Metrics& metrics) override { upkeep_->count_in(metrics); }
  void start() override { upkeep_->start(); }
  void stop() override { upkeep_->stop(); }

  asio::awaitable<transport::outside::Outcome> publish(std::span<const transport::FramePtr> frames,
                                                       Clock::time_point deadline) override {
    if (std::string reason = upkeep_->holds_back(); !reason.empty()) {
      transport::outside::Outcome outcome{.kind = transport::outside::Outcome::Kind::retry_transport,
                                          .reason = std::move(reason)};
      co_return outcome;
    }
    co_return co_await upkeep_->partitions.add(frames, deadline);
  }

 private:
  std::shared_ptr<Upkeep> upkeep_;
};

}  // namespace

std::unique_ptr<transport::outside::Adapter> make_redis_events(asio::any_io_executor executor,
                                                               const config::Settings& settings) {
  const auto& own = settings.redis_events;
  if (own.url.empty()) return nullptr;
  return std::make_unique<RedisEvents>(std::make_shared<Upkeep>(
      executor, settings, transport::redis_streams::service_options("redis_events", own, settings.delivery.timeout)));
}

}  // namespace sealcast::events
