// Adds frames to the event partitions. Maintains the partitions in rounds, with a pause of at most 1 s between two
// rounds.
#include "events/redis_events.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/event.h"
#include "base/log.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"
#include "events/event_partitions.h"
#include "transport/redis_streams/service.h"

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;

constexpr char kState[] =
    "select losses, carrying, partition, last_ms, last_seq, partitions "
    "from sealcast_internal.event_partitions_state()";
constexpr char kCount[] = "select sealcast_internal.event_partition_count($1)";
constexpr char kRecordNewest[] = "select sealcast_internal.note_event_partitions($1, $2, $3, $4)";
constexpr char kRewind[] = "select complete, since::text from sealcast_internal.rewind_events($1)";

constexpr std::size_t kMaxBatch = 256;
constexpr milliseconds kRoundEvery{1000};

// Maintains the partitions in rounds. The coroutine of the rounds shares the ownership of this object, so a round in
// progress may end after the adapter is destroyed.
class PartitionMaintenance : public std::enable_shared_from_this<PartitionMaintenance> {
 public:
  PartitionMaintenance(const asio::any_io_executor& executor, const config::Settings& settings, redis::Options options)
      : partitions(executor, settings.redis_events, std::move(options)),
        executor_(executor),
        settings_(settings.redis_events),
        connection_(
            postgres::Connection::create(executor, {settings.relay.dsn, "redis_events", settings.postgres.timeout})),
        wake_(executor),
        state_known_(executor) {}

  void start() {
    partitions.start();
    connection_->start();
    asio::co_spawn(
        executor_, [self = shared_from_this()] { return self->run(); }, asio::detached);
  }

  void stop() {
    stopped_ = true;
    state_known_.set();  // ends the waits of publishes
    wake_.set();
    connection_->stop();
    partitions.stop();
  }

  void count_in(Metrics& metrics) { metrics_ = &metrics; }

  // The sidecar that led the shard before may have recorded newer entries. Frames may be added when they are known: a
  // frame that is added to partitions that lack these entries would hide their loss.
  void begin_lead() {
    ++leads_begun_;
    state_known_.clear();
    wake_.set();
  }

  asio::awaitable<void> wait_for_state(redis::Clock::time_point deadline) {
    co_await state_known_.wait_until(deadline);
  }

  // Returns the reason why no frames may be added now, or an empty string when frames may be added.
  std::string reason_to_wait() {
    if (!state_known_.is_set()) return "the newest entries are not read from Postgres yet";
    if (partitions.has_lost_entries()) {
      wake_.set();
      return "Redis has lost entries";
    }
    if (!carrying_) return "earlier events are carried again first";
    if (memory_percent_ < settings_.max_memory_percent) return {};
    return "Redis uses " + std::to_string(memory_percent_) + " % of its maxmemory, the limit is " +
           std::to_string(settings_.max_memory_percent);
  }

  // Records the newest entry of each partition in Postgres. Another sidecar that continues this transport reads the
  // record, so that it also notices when Redis has lost entries.
  asio::awaitable<void> record_newest() {
    std::vector<std::int32_t> changed;
    std::vector<std::int64_t> ms, seq;
    const std::vector<EntryId> newest = partitions.newest();
    for (std::size_t n = 0; n < partitions.count(); ++n) {
      if (n < recorded_.size() && newest[n] <= recorded_[n]) continue;
      changed.push_back(static_cast<std::int32_t>(n));
      ms.push_back(static_cast<std::int64_t>(newest[n].ms));
      seq.push_back(static_cast<std::int64_t>(newest[n].seq));
    }
    if (changed.empty() || !losses_ || partitions.has_lost_entries()) co_return;
    postgres::Params params;
    params.add(*losses_);
    params.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, changed);
    params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, ms);
    params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, seq);
    const std::int64_t losses = *losses_;
    co_await connection_->query(kRecordNewest, params);
    if (losses_ == losses) recorded_ = newest;
  }

  EventPartitions partitions;

 private:
  asio::awaitable<void> run() {
    while (!stopped_) {
      try {
        co_await round();
      } catch (const postgres::Error& error) {
        if (error.failure() == postgres::Failure::refused && !error.transient() && log_throttle_.allows()) {
          log::write(log::Level::error, log::tag::kDelivery,
                     "Postgres refused the maintenance of the event partitions; retrying",
                     {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
        }
      }
      if (stopped_) break;
      co_await wake_.wait_for(std::min(kRoundEvery, settings_.trim_every));
      wake_.clear();
    }
  }

  asio::awaitable<void> round() {
    co_await read_state();
    if (partitions.has_lost_entries()) {
      co_await rewind();
      co_await read_state();
    }
    memory_percent_ = co_await partitions.memory_percent();
    if (redis::Clock::now() >= next_trim_) {
      next_trim_ = redis::Clock::now() + settings_.trim_every;
      co_await trim();
    }
    co_await record_newest();
  }

  asio::awaitable<void> read_state() {
    enum { kLosses, kCarrying, kPartition, kMs, kSeq, kPartitions };
    const std::uint64_t leads_begun = leads_begun_;
    postgres::Result rows = co_await connection_->query(kState);
    if (rows.null(0, kPartitions)) {
      postgres::Params configured;
      configured.add(static_cast<std::int32_t>(settings_.partitions));
      co_await connection_->query(kCount, configured);
      rows = co_await connection_->query(kState);
    }
    // Of one snapshot with `carrying`: with a new number, no frame may be added before all shards have gone back.
    use_count(static_cast<std::size_t>(rows.integer(0, kPartitions)));
    std::vector<EntryId> newest(partitions.count());
    for (int row = 0; row < rows.size(); ++row) {
      const auto partition = static_cast<std::size_t>(rows.integer(row, kPartition));
      if (rows.null(row, kPartition) || partition >= newest.size()) continue;
      newest[partition] = {static_cast<std::uint64_t>(rows.integer(row, kMs)),
                           static_cast<std::uint64_t>(rows.integer(row, kSeq))};
    }
    recorded_ = newest;
    if (losses_ == rows.integer(0, kLosses)) {
      partitions.merge(newest);
    } else {
      partitions.expect(std::move(newest));
    }
    losses_ = rows.integer(0, kLosses);
    carrying_ = rows.boolean(0, kCarrying);
    if (leads_begun_ == leads_begun) state_known_.set();
  }

  void use_count(std::size_t count) {
    const std::size_t before = partitions.count();
    if (before == count) return;
    partitions.set_count(count);
    if (before != 0) {
      log::write(
          log::Level::info, log::tag::kDelivery,
          "the number of event partitions has changed; the events that a group has not finished are carried again",
          {{"before", static_cast<std::int64_t>(before)}, {"now", static_cast<std::int64_t>(count)}});
    }
    if (count != settings_.partitions) warn_of_other_setting(settings_.partitions, count);
  }

  asio::awaitable<void> rewind() {
    postgres::Params params;
    params.add(*losses_);
    const postgres::Result rows = co_await connection_->query(kRewind, params);
    if (rows.size() == 0 || rows.null(0, 0)) co_return;  // another sidecar has handled the loss
    const std::string_view since = rows.text(0, 1);
    if (since.empty()) {
      log::write(
          log::Level::error, log::tag::kDelivery,
          "Redis has lost entries of the event partitions, and no handler is registered; if other consumers read "
          "the partitions, run sealcastd replay --from TIMESTAMP");
    } else if (rows.boolean(0, 0)) {
      log::write(log::Level::error, log::tag::kDelivery,
                 "Redis has lost entries of the event partitions; carrying them again", {{"since", since}});
    } else {
      log::write(
          log::Level::error, log::tag::kDelivery,
          "Redis has lost more entries of the event partitions than the log of relay batches covers; run sealcastd "
          "replay --from the time in since",
          {{"since", since}});
    }
  }

  asio::awaitable<void> trim() {
    const std::vector<std::string> groups = co_await registered_groups(*connection_);
    std::map<std::string, GroupProgress> totals;
    bool complete = true;
    for (std::size_t n = 0; n < partitions.count() && !stopped_; ++n) {
      const auto trimmed = co_await partitions.trim(n, groups, settings_.max_age);
      complete = complete && trimmed;
      if (!trimmed) continue;
      for (const GroupProgress& progress : *trimmed) {
        GroupProgress& total = totals[progress.name];
        total.pending += progress.pending;
        total.unread = progress.unread < 0 || total.unread < 0 ? -1 : total.unread + progress.unread;
        total.oldest_ms = std::max(total.oldest_ms, progress.oldest_ms);
      }
    }
    if (complete && metrics_ != nullptr && !stopped_) show(totals);
  }

  void show(const std::map<std::string, GroupProgress>& totals) {
    for (const auto& [name, total] : totals) {
      const Metrics::EventGroup group = metrics_->event_group(name);
      group.pending.Set(static_cast<double>(total.pending));
      group.unread.Set(total.unread < 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(total.unread));
      group.oldest_seconds.Set(static_cast<double>(total.oldest_ms) / 1000);
    }
    for (const std::string& name : shown_groups_) {
      if (!totals.contains(name)) metrics_->forget_event_group(name);
    }
    shown_groups_.clear();
    for (const auto& [name, total] : totals) shown_groups_.push_back(name);
  }

  asio::any_io_executor executor_;
  const config::Settings::RedisEvents settings_;
  std::shared_ptr<postgres::Connection> connection_;
  Event wake_;
  Metrics* metrics_ = nullptr;
  std::vector<std::string> shown_groups_;  // the groups in the metrics
  std::vector<EntryId> recorded_;
  std::optional<std::int64_t> losses_;  // empty until the state was read from Postgres
  std::uint64_t leads_begun_ = 0;
  Event state_known_;      // the state was read from Postgres since the last begin_lead()
  bool carrying_ = false;  // since the last loss, all shards have restarted from the time to which they were sent back
  int memory_percent_ = 0;
  redis::Clock::time_point next_trim_{};
  log::Throttle log_throttle_;
  bool stopped_ = false;
};

class RedisEvents final : public transport::outside::Adapter {
 public:
  explicit RedisEvents(std::shared_ptr<PartitionMaintenance> maintenance) : maintenance_(std::move(maintenance)) {}

  std::size_t max_batch() const override { return kMaxBatch; }
  void count_in(Metrics& metrics, const transport::StreamViewers&) override { maintenance_->count_in(metrics); }
  void start() override { maintenance_->start(); }
  void stop() override { maintenance_->stop(); }
  void begin_lead() override { maintenance_->begin_lead(); }
  asio::awaitable<void> before_settle() override { return maintenance_->record_newest(); }

  asio::awaitable<transport::outside::Outcome> publish(std::span<const transport::FramePtr> frames,
                                                       Clock::time_point deadline) override {
    co_await maintenance_->wait_for_state(deadline);
    if (std::string reason = maintenance_->reason_to_wait(); !reason.empty()) {
      transport::outside::Outcome outcome{.kind = transport::outside::Outcome::Kind::retry_transport,
                                          .reason = std::move(reason)};
      co_return outcome;
    }
    co_return co_await maintenance_->partitions.add(frames, deadline);
  }

 private:
  std::shared_ptr<PartitionMaintenance> maintenance_;
};

}  // namespace

std::unique_ptr<transport::outside::Adapter> make_redis_events(asio::any_io_executor executor,
                                                               const config::Settings& settings) {
  if (settings.redis_events.url.empty()) return nullptr;
  return std::make_unique<RedisEvents>(std::make_shared<PartitionMaintenance>(
      executor, settings,
      transport::redis_streams::service_options("redis_events", settings.redis_events, settings.delivery.timeout)));
}

}  // namespace sealcast::events
