// The loop that reads and applies, and the one that tries again.
#include "events/partition.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kAfterTrouble{100};
constexpr milliseconds kIdle{1000};  // a wake-up may be missed
constexpr milliseconds kFirstBackoff{200};
constexpr milliseconds kLastBackoff{30'000};
constexpr std::size_t kMaxHeld = 2000;  // entries set aside; then the partition waits for them
constexpr std::size_t kMaxBatch = 1000;

}  // namespace

Partition::Partition(asio::any_io_executor executor, GroupReader& reader, Applier& applier,
                     const EventHandlers& handlers, std::int32_t id, std::int64_t epoch)
    : executor_(executor),
      reader_(reader),
      applier_(applier),
      handlers_(handlers),
      id_(id),
      epoch_(epoch),
      wake_(executor),
      retry_(executor) {}

void Partition::start() {
  running_ = retrying_ = true;
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->run(); }, asio::detached);
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->retry(); }, asio::detached);
}

void Partition::stop() {
  stopped_ = true;
  wake_.cancel();
  retry_.cancel();
}

void Partition::wake() { wake_.cancel(); }

asio::awaitable<void> Partition::pause(milliseconds time) {
  wake_.expires_after(time);
  boost::system::error_code ignored;
  co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<void> Partition::run() {
  const auto self = shared_from_this();
  while (!stopped_) {
    if (!taken_ && !handlers_.empty()) taken_ = co_await take();
    if (stopped_) break;
    if (!taken_ || handlers_.empty() || held_ >= kMaxHeld) {
      co_await pause(kAfterTrouble);
      continue;
    }
    const bool more = co_await read_batch();
    if (more || stopped_) continue;
    idle_ = true;
    co_await pause(kIdle);
    idle_ = false;
  }
  running_ = false;
  ended_ = !retrying_;
}

asio::awaitable<bool> Partition::take() {
  const GroupReader::Taken taken = co_await reader_.take(static_cast<std::size_t>(id_), epoch_);
  if (taken.state == GroupReader::State::superseded) stop();
  if (taken.state != GroupReader::State::ok) co_return false;
  reading_new_ = false;
  after_ = {};
  position_ = taken.delivered;
  co_return true;
}

// False: nothing is there.
asio::awaitable<bool> Partition::read_batch() {
  std::size_t count = 1;
  for (const auto& handler : handlers_) count = std::max(count, handler->batch_size);
  const auto after = reading_new_ ? std::nullopt : std::optional(after_);
  const GroupReader::Batch batch =
      co_await reader_.read(static_cast<std::size_t>(id_), epoch_, std::min(count, kMaxBatch), after);
  switch (batch.state) {
    case GroupReader::State::superseded:
      stop();
      co_return false;
    case GroupReader::State::no_group:
      taken_ = false;
      co_return true;
    case GroupReader::State::unavailable:
      co_await pause(kAfterTrouble);
      co_return true;
    case GroupReader::State::ok:
      break;
  }
  if (batch.entries.empty()) {
    if (reading_new_) co_return false;
    reading_new_ = true;
    co_return true;
  }
  (reading_new_ ? position_ : after_) = batch.entries.back()->id;
  std::vector<EntryPtr> fresh;
  for (const EntryPtr& entry : batch.entries) {
    // Known already when the group was lost under entries that are still under way.
    if (open_.emplace(entry->id, entry).second) fresh.push_back(entry);
  }
  co_await apply(std::move(fresh));
  co_await acknowledge();
  co_return true;
}

asio::awaitable<void> Partition::apply(std::vector<EntryPtr> entries) {
  const EventHandlers handlers = handlers_;
  if (handlers.empty() || entries.empty()) co_return;
  std::vector<std::vector<EntryPtr>> wanted(handlers.size());
  for (const EntryPtr& entry : entries) {
    for (std::size_t i = 0; i < handlers.size(); ++i) {
      if (!handlers[i]->wants(*entry)) continue;
      ++entry->open;
      wanted[i].push_back(entry);
    }
    if (entry->open > 0) continue;
    // Nobody's, but to be verified like any other.
    entry->open = 1;
    wanted[0].push_back(entry);
  }
  for (std::size_t i = 0; i < handlers.size(); ++i) {
    std::vector<EntryPtr> batch;
    for (std::size_t j = 0; j < wanted[i].size(); ++j) {
      const EntryPtr& entry = wanted[i][j];
      if (aside_.contains({handlers[i]->name, std::string(entry->sender())})) {
        set_aside(handlers[i], entry);
      } else {
        batch.push_back(entry);
      }
      if (batch.size() < handlers[i]->batch_size && j + 1 < wanted[i].size()) continue;
      if (!batch.empty() && !co_await apply_to(handlers[i], std::move(batch))) co_return;
      batch.clear();
    }
  }
}

// False: this lease is over.
asio::awaitable<bool> Partition::apply_to(std::shared_ptr<const EventHandler> handler, std::vector<EntryPtr> entries) {
  const std::vector<Applied> outcomes = co_await applier_.apply(*handler, {id_, epoch_}, entries, false);
  if (outcomes.empty() && registered(handler->name)) {
    stop();
    co_return false;
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!outcomes.empty() && outcomes[i] == Applied::retry) {
      set_aside(handler, entries[i]);
    } else {
      close(entries[i]);
    }
  }
  co_return true;
}

// Of a handler that is not, nobody wants anything; the list is read again before a partition begins anew.
bool Partition::registered(const std::string& handler) const {
  return std::ranges::any_of(handlers_, [&](const auto& known) { return known->name == handler; });
}

void Partition::set_aside(std::shared_ptr<const EventHandler> handler, const EntryPtr& entry) {
  HeldKey key(handler->name, entry->sender());
  Held& held = aside_[std::move(key)];
  if (held.entries.empty()) {
    held.handler = std::move(handler);
    held.failures = 1;
    held.due = Clock::now() + kFirstBackoff;
  }
  held.entries.push_back(entry);
  ++held_;
  retry_.cancel();
}

void Partition::close(const EntryPtr& entry) {
  if (--entry->open > 0) return;
  done_.push_back(entry->id);
}

asio::awaitable<void> Partition::acknowledge() {
  if (done_.empty()) co_return;
  const std::vector<EntryId> ids = std::exchange(done_, {});
  if (co_await reader_.acknowledge(static_cast<std::size_t>(id_), ids)) {
    for (const EntryId& id : ids) open_.erase(id);
  } else {
    done_.insert(done_.end(), ids.begin(), ids.end());
  }
}

asio::awaitable<void> Partition::retry() {
  const auto self = shared_from_this();
  while (!stopped_) {
    const auto first = std::ranges::min_element(aside_, {}, [](const auto& held) { return held.second.due; });
    if (first != aside_.end() && first->second.due <= Clock::now()) {
      co_await retry_one(first->first);
      co_await acknowledge();
      continue;
    }
    retry_.expires_at(first == aside_.end() ? Clock::now() + kIdle : first->second.due);
    boost::system::error_code ignored;
    co_await retry_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (!done_.empty()) co_await acknowledge();
  }
  retrying_ = false;
  ended_ = !running_;
}

// The first one of a sender; when it is done with, all that waited behind it at once.
asio::awaitable<void> Partition::retry_one(HeldKey key) {
  const std::shared_ptr<const EventHandler> handler = aside_.at(key).handler;
  const std::size_t batch = aside_.at(key).failures > 0 ? 1 : handler->batch_size;
  const std::deque<EntryPtr>& waiting = aside_.at(key).entries;
  const std::vector<EntryPtr> entries(waiting.begin(),
                                      waiting.begin() + static_cast<std::ptrdiff_t>(std::min(batch, waiting.size())));
  const std::vector<Applied> outcomes = co_await applier_.apply(*handler, {id_, epoch_}, entries, true);
  Held& held = aside_.at(key);
  if (outcomes.empty() && registered(handler->name)) {
    stop();
    co_return;
  }
  bool failed = false;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    failed = !outcomes.empty() && outcomes[i] == Applied::retry;
    if (failed) break;
    close(entries[i]);
    held.entries.pop_front();
    --held_;
  }
  held.failures = failed ? held.failures + 1 : 0;
  const auto backoff =
      failed ? std::min(kLastBackoff, kFirstBackoff * (1 << std::min(held.failures, 12))) : milliseconds(0);
  held.due = Clock::now() + backoff;
  if (held.entries.empty()) aside_.erase(key);
}

}  // namespace sealcast::events
