// Runs the four loops of a worker: one claims partitions, one records progress, one watches idle partitions for new
// entries, one applies late events.
#include "events/worker.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "base/event.h"
#include "base/log.h"
#include "client/postgres/connection.h"
#include "events/applier.h"
#include "events/group_handlers.h"
#include "events/group_reader.h"
#include "events/late_events.h"
#include "events/leased_partition.h"
#include "transport/redis_streams/service.h"

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;
using Clock = Worker::Clock;

constexpr char kClaim[] = "select partition, epoch, mine from sealcast_internal.claim_partitions($1, $2, $3, $4)";
constexpr char kRaise[] = "select count(*) from sealcast_internal.raise_partition_epochs($1, $2, $3, $4, $5)";
constexpr char kRelease[] = "select sealcast_internal.release_partitions($1, $2)";
constexpr char kCarried[] =
    "select sealcast_internal.events_carried_to(), losses, partition, last_ms, last_seq from "
    "sealcast_internal.event_partitions_state()";
constexpr char kFinish[] = "select sealcast_internal.finish_partitions($1, $2, $3, $4, $5)";

constexpr milliseconds kPauseOfRetries{200};  // while events wait; the first retry of an event is due after this time
// Without progress for this many times the longest timeout, a partition is stuck.
constexpr int kStuckAfter = 3;

// Adds a random suffix to the name: two workers (for example in two containers) may have the same settings, host name
// and process id, but need different names.
std::string unique_name(const std::string& holder) {
  std::random_device random;
  std::array<char, 9> suffix{};
  std::snprintf(suffix.data(), suffix.size(), "%08x", static_cast<unsigned>(random()));
  return holder + "/" + suffix.data();
}

}  // namespace

class Worker::Impl {
 public:
  Impl(asio::any_io_executor executor, Metrics& metrics, const config::Settings& settings, std::string group);
  void start();
  asio::awaitable<void> shut_down(Clock::time_point deadline);
  std::string postgres_problem() const;
  std::string redis_problem() { return reader_.connected() ? "" : "no connection to the Redis of redis_events.url"; }
  std::string partitions_problem() const;

 private:
  // A measure of progress for one partition: when all handlers have finished the entries up to `newest`, they have
  // finished all messages of this partition that were relayed before `carried_to`.
  struct Checkpoint {
    EntryId newest;
    std::int64_t carried_to;  // Unix ms
  };

  asio::awaitable<void> claim_loop();
  asio::awaitable<void> record_loop();
  asio::awaitable<void> watch_loop();
  asio::awaitable<void> late_loop();
  asio::awaitable<void> claim();
  asio::awaitable<void> raise_epochs();
  void use_partitions(std::size_t count);
  void update_partitions(const postgres::Result& claimed);
  void end_partition(std::map<std::int32_t, LeasedPartition>::iterator partition);
  asio::awaitable<void> record_finished();
  asio::awaitable<void> make_checkpoints();
  asio::awaitable<bool> pause() { return shutting_down_.wait_for(lease_ / 3); }
  void end_loop();
  void log_failure(const postgres::Error& error);

  asio::any_io_executor executor_;
  Metrics::Worker metrics_;
  const std::string group_;
  const std::string holder_;
  const milliseconds lease_;
  const std::size_t lanes_;
  const std::size_t configured_partitions_;
  std::size_t partition_count_ = 0;  // as Postgres has it; 0: not known yet
  std::shared_ptr<postgres::Connection> connection_;
  GroupReader reader_;
  Applier applier_;
  GroupHandlers group_handlers_;
  const EventHandlers& handlers_ = group_handlers_.list();
  LateEvents late_events_;
  std::map<std::int32_t, LeasedPartition> partitions_;
  std::vector<LeasedPartition> ending_;
  std::map<std::int32_t, Clock::time_point> leased_since_;  // without a break, under any epoch
  Clock::time_point claimed_at_ = Clock::now();             // the last claim that succeeded
  std::map<std::int32_t, Checkpoint> checkpoints_;
  std::int64_t losses_ = 0;  // how often Redis had lost entries when the checkpoints were made
  int running_loops_ = 0;
  Event loops_ended_;
  Event shutting_down_;
  log::Throttle log_throttle_;
};

Worker::Impl::Impl(asio::any_io_executor executor, Metrics& metrics, const config::Settings& settings,
                   std::string group)
    : executor_(executor),
      metrics_(metrics.worker()),
      group_(std::move(group)),
      holder_(unique_name(settings.relay.holder)),
      lease_(settings.worker.lease),
      lanes_(settings.worker.lanes),
      configured_partitions_(settings.redis_events.partitions),
      connection_(postgres::Connection::create(executor,
                                               {settings.relay.dsn, "worker of " + group_, settings.postgres.timeout})),
      reader_(
          executor, settings.redis_events,
          transport::redis_streams::service_options("redis_events", settings.redis_events, settings.delivery.timeout),
          group_),
      applier_(executor, metrics_, settings.relay.dsn, group_, settings.worker.lanes),
      group_handlers_(metrics, group_),
      late_events_(connection_, applier_, handlers_, group_, metrics_),
      loops_ended_(executor),
      shutting_down_(executor) {}

void Worker::Impl::start() {
  connection_->start();
  reader_.start();
  applier_.start();
  running_loops_ = 4;
  asio::co_spawn(executor_, claim_loop(), asio::detached);
  asio::co_spawn(executor_, record_loop(), asio::detached);
  asio::co_spawn(executor_, watch_loop(), asio::detached);
  asio::co_spawn(executor_, late_loop(), asio::detached);
}

void Worker::Impl::end_loop() {
  if (--running_loops_ == 0) loops_ended_.set();
}

void Worker::Impl::log_failure(const postgres::Error& error) {
  if (error.failure() != postgres::Failure::refused || !log_throttle_.allows()) return;
  log::write(log::Level::error, log::tag::kWorker, "Postgres refused a statement of the worker; retrying",
             {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
}

asio::awaitable<void> Worker::Impl::claim_loop() {
  while (!shutting_down_.is_set()) {
    // Without renewals, the leases have ended.
    if (Clock::now() > claimed_at_ + lease_) metrics_.partitions.Set(0);
    try {
      const bool connected = co_await connection_->wait_connected(Clock::now() + lease_ / 3);
      if (!connected) continue;
      co_await claim();
    } catch (const postgres::Error& error) {
      log_failure(error);
    }
    co_await pause();
  }
  end_loop();
}

asio::awaitable<void> Worker::Impl::record_loop() {
  while (!shutting_down_.is_set()) {
    try {
      co_await record_finished();
      co_await make_checkpoints();
    } catch (const postgres::Error& error) {
      log_failure(error);
    }
    co_await pause();
  }
  end_loop();
}

asio::awaitable<void> Worker::Impl::watch_loop() {
  while (!shutting_down_.is_set()) {
    std::vector<GroupReader::Watched> watched;
    for (const auto& [id, partition] : partitions_) {
      if (partition.idle()) watched.push_back({static_cast<std::size_t>(id), partition.position()});
    }
    co_await reader_.wait_for_entries(watched);
    for (const GroupReader::Watched& item : watched) {
      const auto partition = partitions_.find(static_cast<std::int32_t>(item.partition));
      if (partition != partitions_.end()) partition->second.wake();
    }
  }
  end_loop();
}

asio::awaitable<void> Worker::Impl::late_loop() {
  while (!shutting_down_.is_set()) {
    LateEvents::Next next = LateEvents::Next::later;
    try {
      const auto first = partitions_.find(0);
      if (first != partitions_.end()) next = co_await late_events_.apply_pages({0, first->second.epoch()});
    } catch (const postgres::Error& error) {
      log_failure(error);
    }
    if (next == LateEvents::Next::soon) co_await shutting_down_.wait_for(kPauseOfRetries);
    if (next == LateEvents::Next::later) co_await pause();
  }
  end_loop();
}

asio::awaitable<void> Worker::Impl::claim() {
  co_await raise_epochs();
  postgres::Params params;
  params.add(std::string_view(group_));
  params.add(std::string_view(holder_));
  params.add(static_cast<std::int32_t>(lease_.count()));
  params.add(static_cast<std::int32_t>(configured_partitions_));
  const postgres::Result claimed = co_await connection_->query(kClaim, params);
  use_partitions(static_cast<std::size_t>(claimed.size()));
  // The handlers are read after the claim, so the list is complete for the claimed epochs: registering another handler
  // ends these epochs.
  co_await group_handlers_.read(*connection_);
  claimed_at_ = Clock::now();
  update_partitions(claimed);
}

// Redis may know higher epochs than Postgres, for example after a failover that lost the newest leases. Then no lease
// of Postgres could begin.
asio::awaitable<void> Worker::Impl::raise_epochs() {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> epochs, newer;
  for (const auto& [id, partition] : partitions_) {
    if (partition.superseded_by() == 0) continue;
    ids.push_back(id);
    epochs.push_back(partition.epoch());
    newer.push_back(partition.superseded_by());
  }
  if (ids.empty()) co_return;
  postgres::Params params;
  params.add(std::string_view(group_));
  params.add(std::string_view(holder_));
  params.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, ids);
  params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, epochs);
  params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, newer);
  const postgres::Result raised = co_await connection_->query(kRaise, params);
  // Nothing is raised when another worker has acquired the leases in the meantime, as usual.
  if (raised.integer(0, 0) == 0 || !log_throttle_.allows()) co_return;
  log::write(log::Level::error, log::tag::kWorker,
             "Redis knows newer leases of event partitions than Postgres, as after a failover that lost commits; the "
             "epochs in Postgres were raised above them",
             {{"group", std::string_view(group_)}, {"partitions", raised.integer(0, 0)}});
}

void Worker::Impl::use_partitions(std::size_t count) {
  if (std::exchange(partition_count_, count) == count) return;
  reader_.set_partitions(count);
  if (count != configured_partitions_) warn_of_other_setting(configured_partitions_, count);
}

void Worker::Impl::end_partition(std::map<std::int32_t, LeasedPartition>::iterator partition) {
  partition->second.stop();
  if (!partition->second.ended()) ending_.push_back(partition->second);
  checkpoints_.erase(partition->first);
  partitions_.erase(partition);
}

void Worker::Impl::update_partitions(const postgres::Result& claimed) {
  enum { kPartition, kEpoch, kLeasedHere };
  for (int row = 0; row < claimed.size(); ++row) {
    const auto id = static_cast<std::int32_t>(claimed.integer(row, kPartition));
    const std::int64_t epoch = claimed.integer(row, kEpoch);
    const bool leased = claimed.boolean(row, kLeasedHere) && !shutting_down_.is_set();
    const auto known = partitions_.find(id);
    const bool running = known != partitions_.end() && !known->second.ended() && known->second.epoch() == epoch;
    if (leased && running) continue;
    if (leased) {
      // A partition that begins again, under another epoch, keeps the time of its progress.
      const auto progressed = known == partitions_.end() ? Clock::time_point{} : known->second.progressed_at();
      const auto since = leased_since_.try_emplace(id, Clock::now()).first;
      since->second = std::max(since->second, progressed);
    } else {
      leased_since_.erase(id);
    }
    if (known != partitions_.end()) end_partition(known);
    if (leased) partitions_.emplace(id, LeasedPartition(executor_, reader_, applier_, handlers_, id, epoch));
  }
  const auto count = static_cast<std::int32_t>(claimed.size());
  while (!partitions_.empty() && partitions_.rbegin()->first >= count) end_partition(std::prev(partitions_.end()));
  leased_since_.erase(leased_since_.lower_bound(count), leased_since_.end());
  std::erase_if(ending_, [](const auto& partition) { return partition.ended(); });
  metrics_.partitions.Set(static_cast<double>(partitions_.size()));
  if (!partitions_.contains(0)) metrics_.held.Set(0);
}

// Records in Postgres each checkpoint whose partition has reached it, and removes the checkpoint.
asio::awaitable<void> Worker::Impl::record_finished() {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> epochs, finished;
  for (const auto& [id, partition] : partitions_) {
    const auto checkpoint = checkpoints_.find(id);
    if (checkpoint == checkpoints_.end() || !partition.finished(checkpoint->second.newest)) continue;
    ids.push_back(id);
    epochs.push_back(partition.epoch());
    finished.push_back(checkpoint->second.carried_to);
    checkpoints_.erase(checkpoint);
  }
  if (ids.empty()) co_return;
  postgres::Params params;
  params.add(std::string_view(group_));
  params.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, ids);
  params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, epochs);
  params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, finished);
  params.add(losses_);
  co_await connection_->query(kFinish, params);
}

// Makes a checkpoint for each partition that has none. The order matters: the worker first reads the time from Postgres
// (all messages that were relayed before this time are in Redis already), then the newest entry from Redis. So all
// these messages are at or before that entry.
asio::awaitable<void> Worker::Impl::make_checkpoints() {
  enum { kCarriedTo, kLosses, kPartition, kMs, kSeq };
  const postgres::Result carried = co_await connection_->query(kCarried);
  const std::int64_t losses = carried.integer(0, kLosses);
  if (std::exchange(losses_, losses) != losses) checkpoints_.clear();
  if (carried.null(0, kCarriedTo)) co_return;
  std::map<std::int32_t, EntryId> added;  // per partition, the newest entry that the sidecars have recorded
  for (const auto& [id, partition] : partitions_) {
    if (!checkpoints_.contains(id)) added.emplace(id, EntryId{});
  }
  for (int row = 0; row < carried.size(); ++row) {
    const auto known = added.find(static_cast<std::int32_t>(carried.integer(row, kPartition)));
    if (carried.null(row, kPartition) || known == added.end()) continue;
    known->second = {static_cast<std::uint64_t>(carried.integer(row, kMs)),
                     static_cast<std::uint64_t>(carried.integer(row, kSeq))};
  }
  for (const auto& [id, last] : added) {
    const auto newest = co_await reader_.newest(static_cast<std::size_t>(id));
    // If the newest entry is older than the recorded one, Redis has lost entries. Its newest entry then does not prove
    // that the earlier messages were finished, so no checkpoint is made.
    if (newest && *newest >= last && partitions_.contains(id)) {
      checkpoints_.insert_or_assign(id, Checkpoint{*newest, carried.integer(0, kCarriedTo)});
    }
  }
}

asio::awaitable<void> Worker::Impl::shut_down(Clock::time_point deadline) {
  shutting_down_.set();
  applier_.finish();
  for (auto& [id, partition] : partitions_) {
    partition.stop();
    ending_.push_back(partition);
  }
  partitions_.clear();
  co_await loops_ended_.wait_until(deadline);
  const std::vector<LeasedPartition> ending = ending_;
  for (const LeasedPartition& partition : ending) co_await partition.wait_ended(deadline);
  try {
    postgres::Params params;
    params.add(std::string_view(group_));
    params.add(std::string_view(holder_));
    co_await connection_->query(kRelease, params);
  } catch (const postgres::Error&) {
    // Without the release, the leases end by themselves when they expire.
  }
  applier_.stop();
  reader_.stop();
  connection_->stop();
}

std::string Worker::Impl::postgres_problem() const {
  const auto silence = Clock::now() - claimed_at_;
  if (silence < kStuckAfter * lease_) return {};
  return "no lease was renewed for " + std::to_string(std::chrono::floor<std::chrono::seconds>(silence).count()) + " s";
}

// A partition without new events looks for some about once per second. With a backlog, the partitions take turns on the
// lanes.
std::string Worker::Impl::partitions_problem() const {
  if (handlers_.empty()) return {};
  const auto turns = static_cast<int>((partitions_.size() + lanes_ - 1) / lanes_);
  const milliseconds limit = kStuckAfter * turns * std::max(lease_, group_handlers_.longest_timeout());
  const Clock::time_point now = Clock::now();
  std::string stuck;
  for (const auto& [id, partition] : partitions_) {
    const Clock::time_point progressed = std::max(partition.progressed_at(), leased_since_.at(id));
    if (now - progressed < limit) continue;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now - progressed).count();
    stuck += (stuck.empty() ? "no event was finished in partition " : ", in partition ") + std::to_string(id) +
             " for " + std::to_string(seconds) + " s";
  }
  return stuck;
}

Worker::Worker(asio::any_io_executor executor, Metrics& metrics, const config::Settings& settings, std::string group)
    : impl_(std::make_unique<Impl>(std::move(executor), metrics, settings, std::move(group))) {}

Worker::~Worker() = default;

void Worker::start() { impl_->start(); }

std::string Worker::postgres_problem() const { return impl_->postgres_problem(); }
std::string Worker::redis_problem() const { return impl_->redis_problem(); }
std::string Worker::partitions_problem() const { return impl_->partitions_problem(); }

asio::awaitable<void> Worker::shut_down(Clock::time_point deadline) { return impl_->shut_down(deadline); }

}  // namespace sealcast::events
