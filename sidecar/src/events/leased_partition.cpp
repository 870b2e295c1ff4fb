// Reads the entries of a leased partition in a loop, applies the handlers to them, and acknowledges them.
#include "events/leased_partition.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <optional>
#include <span>
#include <utility>

#include "base/event.h"

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;
using Clock = LeasedPartition::Clock;

constexpr milliseconds kPauseAfterFailure{100};
constexpr milliseconds kMaxIdle{1000};   // an idle partition continues after this time even when nothing wakes it
constexpr std::size_t kMaxBatch = 1000;  // entries per read

}  // namespace

class LeasedPartition::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, GroupReader& reader, Applier& applier, const EventHandlers& handlers,
       std::int32_t id, std::int64_t epoch)
      : executor_(executor),
        reader_(reader),
        applier_(applier),
        handlers_(handlers),
        id_(id),
        epoch_(epoch),
        wake_(executor),
        ended_(executor) {}

  void start();
  void stop();
  bool finished(const EntryId& id) const {
    return reading_new_ && position_ >= id && (open_.empty() || open_.front() > id);
  }

  asio::any_io_executor executor_;
  GroupReader& reader_;
  Applier& applier_;
  const EventHandlers& handlers_;
  const std::int32_t id_;
  const std::int64_t epoch_;

  std::int64_t superseded_by_ = 0;
  Clock::time_point progressed_at_{};
  EntryId position_{};
  Event wake_;
  Event ended_;
  bool idle_ = false;

 private:
  std::size_t partition() const { return static_cast<std::size_t>(id_); }
  asio::awaitable<void> read_loop();
  asio::awaitable<bool> begin_lease();
  asio::awaitable<bool> read_batch();
  asio::awaitable<bool> apply(std::vector<EntryPtr> entries);
  static std::vector<EntryPtr> entries_for(const EventHandlers& handlers, std::size_t n,
                                           const std::vector<EntryPtr>& entries);
  asio::awaitable<bool> apply_handler(const EventHandler& handler, std::vector<EntryPtr> entries);
  asio::awaitable<void> acknowledge();
  asio::awaitable<void> pause(milliseconds time);

  bool lease_begun_ = false;
  bool reading_new_ = false;   // false while the partition still reads the entries of earlier leases
  EntryId old_position_{};     // the last read entry of earlier leases
  std::vector<EntryId> open_;  // the entries of the current batch, until they are acknowledged
  bool stopped_ = false;
};

void LeasedPartition::Impl::start() {
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->read_loop(); }, asio::detached);
}

void LeasedPartition::Impl::stop() {
  stopped_ = true;
  wake_.set();
}

asio::awaitable<void> LeasedPartition::Impl::pause(milliseconds time) {
  co_await wake_.wait_for(time);
  wake_.clear();
}

asio::awaitable<void> LeasedPartition::Impl::read_loop() {
  const auto self = shared_from_this();
  while (!stopped_) {
    if (!lease_begun_ && !handlers_.empty()) lease_begun_ = co_await begin_lease();
    if (stopped_) break;
    if (!lease_begun_ || handlers_.empty()) {
      co_await pause(kPauseAfterFailure);
      continue;
    }
    const bool more = co_await read_batch();
    if (more || stopped_) continue;
    idle_ = true;
    co_await pause(kMaxIdle);
    idle_ = false;
  }
  ended_.set();
}

asio::awaitable<bool> LeasedPartition::Impl::begin_lease() {
  const GroupReader::LeaseStart start = co_await reader_.begin_lease(partition(), epoch_);
  if (start.state == GroupReader::State::superseded) {
    superseded_by_ = start.newer_epoch;
    stop();
  }
  if (start.state != GroupReader::State::ok) co_return false;
  reading_new_ = false;
  old_position_ = {};
  position_ = start.last_read;
  co_return true;
}

// Reads and applies one batch. Returns false when there are no new entries, or when a newer lease has superseded this
// one. In the second case the partition stops.
asio::awaitable<bool> LeasedPartition::Impl::read_batch() {
  std::size_t count = 1;
  for (const auto& handler : handlers_) count = std::max(count, handler->batch_size);
  const auto after = reading_new_ ? std::nullopt : std::optional(old_position_);
  const GroupReader::Batch batch = co_await reader_.read(partition(), epoch_, std::min(count, kMaxBatch), after);
  switch (batch.state) {
    case GroupReader::State::superseded:
      stop();
      co_return false;
    case GroupReader::State::no_group:
      lease_begun_ = false;
      co_return true;
    case GroupReader::State::unavailable:
      co_await pause(kPauseAfterFailure);
      co_return true;
    case GroupReader::State::ok:
      break;
  }
  if (batch.entries.empty()) {
    progressed_at_ = Clock::now();
    if (reading_new_) co_return false;
    reading_new_ = true;
    co_return true;
  }
  (reading_new_ ? position_ : old_position_) = batch.entries.back()->id;
  for (const EntryPtr& entry : batch.entries) open_.push_back(entry->id);
  const bool finished = co_await apply(batch.entries);
  if (finished) co_await acknowledge();
  co_return true;
}

// Returns false when the partition stops: the lease has ended, the applier finishes, or a handler is not registered any
// more. Only a batch that was applied under this epoch may be acknowledged, because a new handler begins a new epoch.
// So the worker reads the list of handlers again, restarts the partition, and reads these entries again.
asio::awaitable<bool> LeasedPartition::Impl::apply(std::vector<EntryPtr> entries) {
  const EventHandlers handlers = handlers_;
  bool applied = !handlers.empty();
  for (std::size_t n = 0; n < handlers.size() && applied; ++n) {
    std::vector<EntryPtr> chosen = entries_for(handlers, n, entries);
    applied = co_await apply_handler(*handlers[n], std::move(chosen));
  }
  if (!applied) stop();
  co_return applied;
}

// Returns the entries for the handler `n`. An entry that no handler wants may be forged, so it must be verified too.
// apply_events() verifies every entry that it gets, and skips the handler for an entry of another type. So the first
// handler gets this entry.
std::vector<EntryPtr> LeasedPartition::Impl::entries_for(const EventHandlers& handlers, std::size_t n,
                                                         const std::vector<EntryPtr>& entries) {
  std::vector<EntryPtr> chosen;
  for (const EntryPtr& entry : entries) {
    const auto wants = [&](const auto& handler) { return handler->wants(*entry); };
    if (entry->gone || (!wants(handlers[n]) && (n > 0 || std::ranges::any_of(handlers, wants)))) continue;
    chosen.push_back(entry);
  }
  return chosen;
}

asio::awaitable<bool> LeasedPartition::Impl::apply_handler(const EventHandler& handler, std::vector<EntryPtr> entries) {
  for (std::size_t first = 0; first < entries.size(); first += handler.batch_size) {
    const std::size_t count = std::min(handler.batch_size, entries.size() - first);
    const std::span<const EntryPtr> batch(entries.data() + first, count);
    const bool applied = co_await applier_.apply(handler, {id_, epoch_}, batch, LaneKind::regular);
    if (!applied) co_return false;
    progressed_at_ = Clock::now();
  }
  co_return true;
}

// Acknowledges the current batch. Tries again while Redis does not answer, so that at most one batch is open.
asio::awaitable<void> LeasedPartition::Impl::acknowledge() {
  while (true) {
    const bool done = co_await reader_.acknowledge(partition(), open_);
    if (done || stopped_) break;
    co_await pause(kPauseAfterFailure);
  }
  open_.clear();
}

LeasedPartition::LeasedPartition(asio::any_io_executor executor, GroupReader& reader, Applier& applier,
                                 const EventHandlers& handlers, std::int32_t id, std::int64_t epoch)
    : impl_(std::make_shared<Impl>(std::move(executor), reader, applier, handlers, id, epoch)) {
  impl_->start();
}

void LeasedPartition::stop() { impl_->stop(); }
bool LeasedPartition::ended() const { return impl_->ended_.is_set(); }
asio::awaitable<bool> LeasedPartition::wait_ended(Clock::time_point deadline) const {
  return impl_->ended_.wait_until(deadline);
}
std::int64_t LeasedPartition::epoch() const { return impl_->epoch_; }
std::int64_t LeasedPartition::superseded_by() const { return impl_->superseded_by_; }
LeasedPartition::Clock::time_point LeasedPartition::progressed_at() const { return impl_->progressed_at_; }
bool LeasedPartition::idle() const { return impl_->idle_; }
void LeasedPartition::wake() { impl_->wake_.set(); }
EntryId LeasedPartition::position() const { return impl_->position_; }
bool LeasedPartition::finished(const EntryId& id) const { return impl_->finished(id); }

}  // namespace sealcast::events
