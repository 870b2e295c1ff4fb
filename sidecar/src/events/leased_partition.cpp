// Runs two loops for a leased partition: one reads and applies entries, the other retries postponed entries.
#include "events/leased_partition.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/event.h"

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;
using Clock = LeasedPartition::Clock;

constexpr milliseconds kPauseAfterFailure{100};
constexpr milliseconds kMaxIdle{1000};  // an idle loop continues after this time even when nothing wakes it
constexpr milliseconds kFirstBackoff{200};
constexpr milliseconds kMaxBackoff{30'000};
constexpr std::size_t kMaxPostponed = 2000;  // with so many postponed entries, the partition stops reading
constexpr std::size_t kMaxBatch = 1000;      // entries per read

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
        retry_wake_(executor),
        ended_(executor) {}

  void start();
  void stop();
  bool finished(const EntryId& id) const {
    return reading_new_ && position_ >= id && (open_.empty() || open_.begin()->first > id);
  }

  asio::any_io_executor executor_;
  GroupReader& reader_;
  Applier& applier_;
  const EventHandlers& handlers_;
  const std::int32_t id_;
  const std::int64_t epoch_;

  std::int64_t superseded_by_ = 0;
  EntryId position_{};
  std::size_t postponed_count_ = 0;
  Event wake_;
  Event retry_wake_;
  Event ended_;
  bool idle_ = false;

 private:
  // The postponed entries of one sender for one handler, in order.
  struct Postponed {
    std::shared_ptr<const EventHandler> handler;
    std::deque<EntryPtr> entries;
    int failures = 0;  // failed attempts to apply the first entry; 0: that entry was not tried yet
    Clock::time_point due;
  };
  using PostponedKey = std::pair<std::string, std::string>;  // name of the handler, id of the sender

  std::size_t partition() const { return static_cast<std::size_t>(id_); }
  asio::awaitable<void> read_loop();
  asio::awaitable<bool> begin_lease();
  asio::awaitable<bool> read_batch();
  asio::awaitable<void> apply(std::vector<EntryPtr> entries);
  asio::awaitable<bool> apply_batch(std::shared_ptr<const EventHandler> handler, std::vector<EntryPtr> entries);
  asio::awaitable<void> retry_loop();
  asio::awaitable<void> retry(PostponedKey key);
  asio::awaitable<void> acknowledge();
  asio::awaitable<void> pause(milliseconds time);
  bool registered(const std::string& handler) const;
  void postpone(std::shared_ptr<const EventHandler> handler, const EntryPtr& entry);
  void finish(const EntryPtr& entry);
  void end_loop();

  bool lease_begun_ = false;
  bool reading_new_ = false;             // false while the partition still reads the entries of earlier leases
  EntryId old_position_{};               // the last read entry of earlier leases
  std::map<EntryId, EntryPtr> open_;     // entries that were read and are not acknowledged
  std::vector<EntryId> unacknowledged_;  // entries that all handlers have finished, to be acknowledged next
  std::map<PostponedKey, Postponed> postponed_;
  bool stopped_ = false;
  int running_loops_ = 0;
};

void LeasedPartition::Impl::start() {
  running_loops_ = 2;
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->read_loop(); }, asio::detached);
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->retry_loop(); }, asio::detached);
}

void LeasedPartition::Impl::stop() {
  stopped_ = true;
  wake_.set();
  retry_wake_.set();
}

void LeasedPartition::Impl::end_loop() {
  if (--running_loops_ == 0) ended_.set();
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
    if (!lease_begun_ || handlers_.empty() || postponed_count_ >= kMaxPostponed) {
      co_await pause(kPauseAfterFailure);
      continue;
    }
    const bool more = co_await read_batch();
    if (more || stopped_) continue;
    idle_ = true;
    co_await pause(kMaxIdle);
    idle_ = false;
  }
  end_loop();
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
    if (reading_new_) co_return false;
    reading_new_ = true;
    co_return true;
  }
  (reading_new_ ? position_ : old_position_) = batch.entries.back()->id;
  std::vector<EntryPtr> fresh;
  for (const EntryPtr& entry : batch.entries) {
    // After Redis has lost the group, the new group also reads entries that are still open here.
    if (open_.emplace(entry->id, entry).second) fresh.push_back(entry);
  }
  co_await apply(std::move(fresh));
  co_await acknowledge();
  co_return true;
}

asio::awaitable<void> LeasedPartition::Impl::apply(std::vector<EntryPtr> entries) {
  const EventHandlers handlers = handlers_;
  if (handlers.empty() || entries.empty()) co_return;
  std::vector<std::vector<EntryPtr>> wanted(handlers.size());
  for (const EntryPtr& entry : entries) {
    if (entry->gone) {
      unacknowledged_.push_back(entry->id);
      continue;
    }
    for (std::size_t i = 0; i < handlers.size(); ++i) {
      if (!handlers[i]->wants(*entry)) continue;
      ++entry->open_handlers;
      wanted[i].push_back(entry);
    }
    if (entry->open_handlers > 0) continue;
    // No handler wants this entry, but it may be forged, so it must be verified too. apply_events() verifies every
    // entry that it gets, and skips the handler for an entry of another type. So this entry joins those of the first
    // handler.
    entry->open_handlers = 1;
    wanted[0].push_back(entry);
  }
  for (std::size_t i = 0; i < handlers.size(); ++i) {
    std::vector<EntryPtr> batch;
    for (std::size_t j = 0; j < wanted[i].size(); ++j) {
      const EntryPtr& entry = wanted[i][j];
      if (postponed_.contains({handlers[i]->name, std::string(entry->sender())})) {
        postpone(handlers[i], entry);
      } else {
        batch.push_back(entry);
      }
      if (batch.size() < handlers[i]->batch_size && j + 1 < wanted[i].size()) continue;
      if (!batch.empty() && !co_await apply_batch(handlers[i], std::move(batch))) co_return;
      batch.clear();
    }
  }
}

// Returns false when the partition stops, because the lease has ended or the applier was stopped.
asio::awaitable<bool> LeasedPartition::Impl::apply_batch(std::shared_ptr<const EventHandler> handler,
                                                         std::vector<EntryPtr> entries) {
  const std::vector<Applied> outcomes = co_await applier_.apply(*handler, {id_, epoch_}, entries, LaneKind::regular);
  if (outcomes.empty() && registered(handler->name)) {
    stop();
    co_return false;
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!outcomes.empty() && outcomes[i] == Applied::retry) {
      postpone(handler, entries[i]);
    } else {
      finish(entries[i]);
    }
  }
  co_return true;
}

// Tells the two reasons apart why Applier::apply() returns no outcomes. If the handler is no longer registered, its
// entries count as finished. If it is registered, the lease has ended, and the partition stops. handlers_ may be out of
// date and still contain a handler that was removed. In this case the partition stops too, and the worker reads the
// list again before it restarts the partition.
bool LeasedPartition::Impl::registered(const std::string& handler) const {
  return std::ranges::any_of(handlers_, [&](const auto& known) { return known->name == handler; });
}

void LeasedPartition::Impl::postpone(std::shared_ptr<const EventHandler> handler, const EntryPtr& entry) {
  PostponedKey key(handler->name, entry->sender());
  Postponed& postponed = postponed_[std::move(key)];
  if (postponed.entries.empty()) {
    postponed.handler = std::move(handler);
    postponed.failures = 1;
    postponed.due = Clock::now() + kFirstBackoff;
  }
  postponed.entries.push_back(entry);
  ++postponed_count_;
  retry_wake_.set();
}

// Counts that one handler has finished the entry.
void LeasedPartition::Impl::finish(const EntryPtr& entry) {
  if (--entry->open_handlers > 0) return;
  unacknowledged_.push_back(entry->id);
}

asio::awaitable<void> LeasedPartition::Impl::acknowledge() {
  if (unacknowledged_.empty()) co_return;
  const std::vector<EntryId> ids = std::exchange(unacknowledged_, {});
  if (co_await reader_.acknowledge(partition(), ids)) {
    for (const EntryId& id : ids) open_.erase(id);
  } else {
    unacknowledged_.insert(unacknowledged_.end(), ids.begin(), ids.end());
  }
}

asio::awaitable<void> LeasedPartition::Impl::retry_loop() {
  const auto self = shared_from_this();
  while (!stopped_) {
    const auto first = std::ranges::min_element(postponed_, {}, [](const auto& item) { return item.second.due; });
    if (first != postponed_.end() && first->second.due <= Clock::now()) {
      co_await retry(first->first);
      co_await acknowledge();
      continue;
    }
    const Clock::time_point next = first == postponed_.end() ? Clock::now() + kMaxIdle : first->second.due;
    co_await retry_wake_.wait_until(next);
    retry_wake_.clear();
    if (!unacknowledged_.empty()) co_await acknowledge();
  }
  end_loop();
}

// Applies the postponed entries of one sender for one handler. While the first entry fails, it is retried alone. After
// it has succeeded, the other entries are applied in batches.
asio::awaitable<void> LeasedPartition::Impl::retry(PostponedKey key) {
  const std::shared_ptr<const EventHandler> handler = postponed_.at(key).handler;
  const std::size_t batch = postponed_.at(key).failures > 0 ? 1 : handler->batch_size;
  const std::deque<EntryPtr>& waiting = postponed_.at(key).entries;
  const std::vector<EntryPtr> entries(waiting.begin(),
                                      waiting.begin() + static_cast<std::ptrdiff_t>(std::min(batch, waiting.size())));
  const std::vector<Applied> outcomes = co_await applier_.apply(*handler, {id_, epoch_}, entries, LaneKind::retry);
  Postponed& postponed = postponed_.at(key);
  if (outcomes.empty() && registered(handler->name)) {
    stop();
    co_return;
  }
  bool failed = false;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    failed = !outcomes.empty() && outcomes[i] == Applied::retry;
    if (failed) break;
    finish(entries[i]);
    postponed.entries.pop_front();
    --postponed_count_;
  }
  postponed.failures = failed ? postponed.failures + 1 : 0;
  const auto backoff =
      failed ? std::min(kMaxBackoff, kFirstBackoff * (1 << std::min(postponed.failures, 12))) : milliseconds(0);
  postponed.due = Clock::now() + backoff;
  if (postponed.entries.empty()) postponed_.erase(key);
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
bool LeasedPartition::idle() const { return impl_->idle_; }
void LeasedPartition::wake() { impl_->wake_.set(); }
std::size_t LeasedPartition::postponed() const { return impl_->postponed_count_; }
EntryId LeasedPartition::position() const { return impl_->position_; }
bool LeasedPartition::finished(const EntryId& id) const { return impl_->finished(id); }

}  // namespace sealcast::events
