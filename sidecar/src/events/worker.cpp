// The loops of a worker, and its statements beside those that apply.
#include "events/worker.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>
#include <utility>

#include "base/log.h"
#include "transport/redis_streams/service.h"

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;

constexpr char kHandlers[] = "select name, t, batch_size, timeout_ms from sealcast.handlers_of($1)";
constexpr char kClaim[] = "select partition, epoch, mine from sealcast.claim_partitions($1, $2, $3, $4)";
constexpr char kRelease[] = "select sealcast.release_partitions($1, $2)";
constexpr char kCarried[] =
    "select sealcast.events_carried_to(), losses, partition, last_ms, last_seq from sealcast.event_partitions_state()";
constexpr char kFinish[] = "select sealcast.finish_partitions($1, $2, $3, $4, $5)";
constexpr char kReplay[] = "select handler, \"offset\", envelope from sealcast.event_dead_letters_to_replay($1, $2)";

constexpr std::int32_t kReplays = 20;  // dead letters at once

// Two workers must never share a name, also where they share settings, hosts or process ids.
std::string unique_name(const std::string& holder) {
  std::random_device random;
  std::array<char, 9> suffix{};
  std::snprintf(suffix.data(), suffix.size(), "%08x", static_cast<unsigned>(random()));
  return holder + "/" + suffix.data();
}

}  // namespace

Worker::Worker(asio::any_io_executor executor, Metrics& metrics, const config::Settings& settings, std::string group)
    : executor_(executor),
      metrics_(metrics),
      counts_(metrics.worker()),
      group_(std::move(group)),
      holder_(unique_name(settings.relay.holder)),
      lease_(settings.worker.lease),
      connection_(postgres::Connection::create(executor,
                                               {settings.relay.dsn, "worker of " + group_, settings.postgres.timeout})),
      reader_(
          executor, settings.redis_events,
          transport::redis_streams::service_options("redis_events", settings.redis_events, settings.delivery.timeout),
          group_),
      applier_(executor, counts_, {settings.relay.dsn, group_, static_cast<std::size_t>(settings.worker.lanes)}),
      lead_timer_(executor),
      keep_timer_(executor) {}

void Worker::start() {
  connection_->start();
  reader_.start();
  applier_.start();
  loops_ = 3;
  asio::co_spawn(executor_, lead(), asio::detached);
  asio::co_spawn(executor_, keep(), asio::detached);
  asio::co_spawn(executor_, watch(), asio::detached);
}

void Worker::complain(const postgres::Error& error) {
  if (error.failure() != postgres::Failure::refused || !complaints_.allows()) return;
  log::write(log::Level::error, log::tag::kWorker, "Postgres refused a statement of the worker; trying again",
             {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
}

asio::awaitable<void> Worker::until_next(asio::steady_timer& timer) {
  if (finishing_) co_return;
  timer.expires_after(lease_ / 3);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<void> Worker::lead() {
  while (!finishing_) {
    try {
      const bool connected = co_await connection_->wait_connected(Clock::now() + lease_ / 3);
      if (!connected) continue;
      co_await claim();
    } catch (const postgres::Error& error) {
      complain(error);
    }
    co_await until_next(lead_timer_);
  }
  --loops_;
}

asio::awaitable<void> Worker::keep() {
  while (!finishing_) {
    try {
      co_await record();
      co_await replay();
    } catch (const postgres::Error& error) {
      complain(error);
    }
    co_await until_next(keep_timer_);
  }
  --loops_;
}

asio::awaitable<void> Worker::read_handlers() {
  postgres::Params params;
  params.add(std::string_view(group_));
  const postgres::Result rows = co_await connection_->query(kHandlers, params);
  EventHandlers handlers;
  for (int row = 0; row < rows.size(); ++row) {
    const std::string name(rows.text(row, 0));
    const std::string type(rows.text(row, 1));
    const auto batch = static_cast<std::size_t>(rows.integer(row, 2));
    const milliseconds timeout(rows.integer(row, 3));
    const auto same = std::ranges::find_if(handlers_, [&](const auto& known) {
      return known->name == name && known->type == type && known->batch_size == batch && known->timeout == timeout;
    });
    handlers.push_back(same != handlers_.end() ? *same
                                               : std::make_shared<const EventHandler>(
                                                     EventHandler{name, type, batch, timeout, metrics_.handler(name)}));
  }
  handlers_ = std::move(handlers);
  if (handlers_.empty() && !std::exchange(warned_, true)) {
    log::write(log::Level::warn, log::tag::kWorker,
               "no handler is registered for this group; waiting for sealcast.register_handler()",
               {{"group", std::string_view(group_)}});
  }
  if (!handlers_.empty()) warned_ = false;
}

asio::awaitable<void> Worker::claim() {
  postgres::Params params;
  params.add(std::string_view(group_));
  params.add(std::string_view(holder_));
  params.add(static_cast<std::int32_t>(lease_.count()));
  params.add(static_cast<std::int32_t>(reader_.partitions()));
  const postgres::Result rows = co_await connection_->query(kClaim, params);
  // After the claim: a handler that is registered later ends these epochs.
  co_await read_handlers();
  take_claim(rows);
}

void Worker::take_claim(const postgres::Result& rows) {
  for (int row = 0; row < rows.size(); ++row) {
    const auto id = static_cast<std::int32_t>(rows.integer(row, 0));
    const std::int64_t epoch = rows.integer(row, 1);
    const bool mine = rows.boolean(row, 2) && !finishing_;
    const auto known = partitions_.find(id);
    const bool running = known != partitions_.end() && !known->second->ended() && known->second->epoch() == epoch;
    if (mine && running) continue;
    if (known != partitions_.end()) {
      known->second->stop();
      if (!known->second->ended()) ending_.push_back(known->second);
      partitions_.erase(known);
      checkpoints_.erase(id);
    }
    if (!mine) continue;
    auto partition = std::make_shared<Partition>(executor_, reader_, applier_, handlers_, id, epoch);
    partition->start();
    partitions_.emplace(id, std::move(partition));
  }
  std::erase_if(ending_, [](const auto& partition) { return partition->ended(); });
  counts_.partitions.Set(static_cast<double>(partitions_.size()));
  std::size_t held = 0;
  for (const auto& [id, partition] : partitions_) held += partition->held();
  counts_.held.Set(static_cast<double>(held));
}

// What was relayed before a moment is in Redis before an entry that is there then; when that is finished, so is all of
// it. Both are looked up in this order, and recorded when the partition has come so far.
asio::awaitable<void> Worker::record() {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> epochs, finished;
  for (const auto& [id, partition] : partitions_) {
    const auto checkpoint = checkpoints_.find(id);
    if (checkpoint == checkpoints_.end() || !partition->finished(checkpoint->second.newest)) continue;
    ids.push_back(id);
    epochs.push_back(partition->epoch());
    finished.push_back(checkpoint->second.finished);
    checkpoints_.erase(checkpoint);
  }
  if (!ids.empty()) {
    postgres::Params params;
    params.add(std::string_view(group_));
    params.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, ids);
    params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, epochs);
    params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, finished);
    params.add(losses_);
    co_await connection_->query(kFinish, params);
  }
  enum { kThrough, kLosses, kPartition, kMs, kSeq };
  const postgres::Result carried = co_await connection_->query(kCarried);
  const std::int64_t losses = carried.integer(0, kLosses);
  if (std::exchange(losses_, losses) != losses) checkpoints_.clear();
  if (carried.null(0, kThrough)) co_return;
  std::map<std::int32_t, EntryId> added;
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
    // A Redis that is behind what was added has lost it: what it holds says nothing then.
    if (newest && *newest >= last && partitions_.contains(id)) {
      checkpoints_.insert_or_assign(id, Checkpoint{*newest, carried.integer(0, kThrough)});
    }
  }
}

// By whoever leases the first partition. Beside what is new: a dead letter comes late anyway.
asio::awaitable<void> Worker::replay() {
  if (!partitions_.contains(0)) co_return;
  postgres::Params params;
  params.add(std::string_view(group_));
  params.add(kReplays);
  const postgres::Result rows = co_await connection_->query(kReplay, params);
  for (int row = 0; row < rows.size() && !finishing_; ++row) {
    const auto handler = std::ranges::find(handlers_, rows.text(row, 0),
                                           [](const auto& known) -> std::string_view { return known->name; });
    if (handler == handlers_.end()) continue;
    auto entry = std::make_shared<Entry>();
    entry->offset = rows.integer(row, 1);
    entry->envelope = rows.text(row, 2);
    const std::shared_ptr<const EventHandler> held = *handler;
    const std::vector<EntryPtr> entries{std::move(entry)};
    co_await applier_.apply(*held, Lease{}, entries, true);
  }
}

asio::awaitable<void> Worker::watch() {
  while (!finishing_) {
    std::vector<GroupReader::Watched> watched;
    for (const auto& [id, partition] : partitions_) {
      if (partition->idle()) watched.push_back({static_cast<std::size_t>(id), partition->position()});
    }
    co_await reader_.wait(watched);
    for (const GroupReader::Watched& one : watched) {
      const auto partition = partitions_.find(static_cast<std::int32_t>(one.partition));
      if (partition != partitions_.end()) partition->second->wake();
    }
  }
  --loops_;
}

asio::awaitable<void> Worker::finish(Clock::time_point deadline) {
  finishing_ = true;
  lead_timer_.cancel();
  keep_timer_.cancel();
  for (const auto& [id, partition] : partitions_) {
    partition->stop();
    ending_.push_back(partition);
  }
  partitions_.clear();
  const auto working = [this] {
    return loops_ > 0 || std::ranges::any_of(ending_, [](const auto& partition) { return !partition->ended(); });
  };
  while (working() && Clock::now() < deadline) {
    asio::steady_timer pause(executor_, milliseconds(5));
    co_await pause.async_wait(asio::use_awaitable);
  }
  try {
    postgres::Params params;
    params.add(std::string_view(group_));
    params.add(std::string_view(holder_));
    co_await connection_->query(kRelease, params);
  } catch (const postgres::Error&) {
    // The leases end by themselves.
  }
  applier_.stop();
  reader_.stop();
  connection_->stop();
}

}  // namespace sealcast::events
