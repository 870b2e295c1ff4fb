// The keeper: one coroutine that records in Postgres how far the delivery came, and reads again from there what did not
// fit into memory. While Postgres is away it only waits, and what is queued goes on.
#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "base/asio.h"
#include "transport/outside/delivery.h"

namespace sealcast::transport::outside {

namespace {

constexpr std::chrono::seconds kSettleEvery{1};
constexpr std::chrono::milliseconds kAfterFailure{200};
constexpr std::int32_t kPage = 200;         // frames of a lagging stream
constexpr std::int32_t kReplays = 100;      // dead letters at once
constexpr std::int32_t kMaxBatches = 1024;  // of a shard that is behind
constexpr std::size_t kFewFrames = 512;     // a page with fewer could have had more batches

}  // namespace

void Delivery::wake() {
  woken_ = true;
  keeper_timer_.cancel();
}

asio::awaitable<void> Delivery::keep() {
  next_settle_ = Clock::now() + kSettleEvery;
  while (true) {
    bool more = false, failed = false;
    std::optional<postgres::Error> error;
    const bool last = finishing_ && in_flight_ == 0 && (ready_.empty() || pauses_ > 0);
    if (last) next_settle_ = Clock::now();
    woken_ = false;
    try {
      if (co_await ledger_.connected_by(Clock::now() + kSettleEvery)) {
        more = co_await keep_once();
      } else {
        failed = true;
      }
    } catch (const postgres::Error& caught) {
      error = caught;
    }
    if (last) break;
    measure();
    if (error && complaints_.allows()) {
      log::write(log::Level::error, log::tag::kDelivery, "a delivery could not be recorded or read; trying again",
                 {{"transport", name()}, {"sqlstate", error->sqlstate()}, {"reason", std::string_view(error->what())}});
    }
    if (more || (woken_ && !error && !failed)) continue;
    keeper_timer_.expires_at(error || failed ? Clock::now() + kAfterFailure : next_settle_);
    boost::system::error_code ignored;
    co_await keeper_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  finished_ = true;
}

// True when there is more to do at once.
asio::awaitable<bool> Delivery::keep_once() {
  co_await begin_shards();
  co_await save_lags();
  co_await bury();
  const bool due = Clock::now() >= next_settle_;
  if (due) {
    next_settle_ = Clock::now() + kSettleEvery;
    co_await settle();
    co_await replay();
  }
  if (finishing_) co_return false;
  bool more = false;
  // After a pause something must be there to try the service with.
  if (pauses_ == 0 || Clock::now() >= paused_until_) more = co_await read_lagging();
  more = co_await catch_up() || more;
  pump();
  co_return more;
}

asio::awaitable<void> Delivery::begin_shards() {
  std::vector<Lead> fresh;
  for (const Progress::Shard& shard : progress_.shards()) {
    if (!shard.begun) fresh.push_back(shard.lead);
  }
  if (fresh.empty()) co_return;
  const std::vector<Ledger::Lag> lags = co_await ledger_.lagging(fresh);
  const std::vector<Ledger::Position> positions = co_await ledger_.begin(fresh);
  for (const Lead& lead : fresh) {
    Progress::Shard* const shard = progress_.find(lead.shard, lead.epoch);
    const auto at = std::ranges::find(positions, lead.shard, &Ledger::Position::shard);
    // Without a position the lease is somebody else's by now, and the relay will say so.
    if (shard == nullptr || at == positions.end()) continue;
    shard->begun = true;
    shard->taken = at->batch;
    for (const Ledger::Lag& lag : lags) {
      if (lag.shard != lead.shard) continue;
      auto& place = streams_[lag.stream_id];
      if (!place) {
        place = std::make_unique<Stream>();
        place->id = lag.stream_id;
        place->shard = lag.shard;
      }
      place->lag = Stream::Lag::saved;
      place->next_offset = place->saved_offset = lag.next_offset;
      lagging_.insert(lag.stream_id);
    }
  }
}

asio::awaitable<void> Delivery::save_lags() {
  if (unsaved_.empty()) co_return;
  std::vector<Ledger::Lag> lags;
  for (const std::string& id : unsaved_) {
    const auto at = streams_.find(id);
    const bool caught_up = at == streams_.end() || at->second->lag == Stream::Lag::none;
    Ledger::Lag lag{id, 0, caught_up ? 0 : first_undelivered(*at->second), caught_up ? "" : at->second->reason};
    lags.push_back(std::move(lag));
  }
  co_await ledger_.set_lag(progress_.leads(), lags);
  for (const Ledger::Lag& saved : lags) {
    const auto at = streams_.find(saved.stream_id);
    if (at == streams_.end()) {
      unsaved_.erase(saved.stream_id);
      continue;
    }
    Stream& stream = *at->second;
    if (saved.next_offset == 0) {
      if (stream.lag != Stream::Lag::none) continue;  // it lags again: the next round tells
      unsaved_.erase(saved.stream_id);
      if (stream.state == Stream::State::idle) rest(stream);
      continue;
    }
    unsaved_.erase(saved.stream_id);
    stream.saved_offset = saved.next_offset;
    if (stream.lag != Stream::Lag::unsaved) continue;
    // From here on its frames are Postgres' to keep, and hold up nothing else.
    stream.next_offset = std::max(first_undelivered(stream), saved.next_offset);
    stream.lag = Stream::Lag::saved;
    stream.missed = true;
    lagging_.insert(stream.id);
    clear(stream);
  }
}

asio::awaitable<void> Delivery::bury() {
  while (!burials_.empty()) {
    Stream& stream = *burials_.back();
    if (stream.items.empty()) {
      burials_.pop_back();
      rest(stream);
      continue;
    }
    const FramePtr frame = stream.items.front().frame;
    const std::uint64_t generation = stream.generation;
    co_await ledger_.bury(progress_.leads(), *frame, stream.reason, stream.failures);
    std::erase(burials_, &stream);
    metrics_.dead.Increment();
    log::write(log::Level::warn, log::tag::kDelivery, "gave a message up: it is a dead letter now",
               {{"transport", name()},
                {"stream_id", std::string_view(frame->stream_id)},
                {"offset", frame->offset},
                {"reason", std::string_view(stream.reason)}});
    if (stream.generation == generation) {
      stream.next_offset = std::max(stream.next_offset, frame->offset + 1);
      pop(stream);
    }
    rest(stream);
  }
}

// True when a page was read.
asio::awaitable<bool> Delivery::read_lagging() {
  bool read = false;
  const std::vector<std::string> ids(lagging_.begin(), lagging_.end());
  for (const std::string& id : ids) {
    if (!room_for(kPage, 0)) break;
    auto at = streams_.find(id);
    if (at == streams_.end() || at->second->lag != Stream::Lag::saved) {
      lagging_.erase(id);
      continue;
    }
    if (at->second->state != Stream::State::idle || !at->second->items.empty()) continue;
    if (!routing_.carries(name(), id)) {
      end_lag(*at->second);
      continue;
    }
    at->second->missed = false;
    const std::int32_t shard = at->second->shard;
    const Progress::Shard* led = progress_.find(shard);
    if (led == nullptr) continue;
    const std::int64_t epoch = led->lead.epoch;
    const Ledger::StreamPage page = co_await ledger_.of_stream(id, shard, at->second->next_offset, kPage);
    at = streams_.find(id);
    if (at == streams_.end() || at->second->lag != Stream::Lag::saved || !progress_.find(shard, epoch)) continue;
    Stream& stream = *at->second;
    if (page.last_offset == 0) {
      if (stream.missed) {
        read = true;
        continue;
      }
      end_lag(stream);
      continue;
    }
    read = true;
    if (page.frames.empty()) stream.next_offset = page.last_offset + 1;
    for (const FramePtr& frame : page.frames) push(stream, {frame, epoch, false});
  }
  co_return read;
}

void Delivery::end_lag(Stream& stream) {
  stream.lag = Stream::Lag::none;
  stream.failures = 0;
  lagging_.erase(stream.id);
  unsaved_.insert(stream.id);
  wake();
}

// True when there may be more.
asio::awaitable<bool> Delivery::catch_up() {
  if (frames_ > settings_.max_frames / 2 || bytes_ > settings_.max_bytes / 2) co_return false;
  std::vector<Ledger::Position> behind;
  std::vector<std::int64_t> epochs;
  for (const Progress::Shard& shard : progress_.shards()) {
    if (!shard.begun || shard.current()) continue;
    const Ledger::Position position{shard.lead.shard, shard.taken};
    behind.push_back(position);
    epochs.push_back(shard.lead.epoch);
  }
  if (behind.empty()) co_return false;
  const Ledger::Page page = co_await ledger_.after(behind, catch_up_batches_);
  for (const FramePtr& frame : page.frames) {
    const auto at = std::ranges::find(behind, frame->shard, &Ledger::Position::shard);
    const std::int64_t epoch = epochs[static_cast<std::size_t>(at - behind.begin())];
    const Progress::Shard* const shard = progress_.find(frame->shard, epoch);
    if (shard != nullptr && frame->batch > shard->taken) take(frame, epoch, false);
  }
  for (std::size_t i = 0; i < behind.size(); ++i) {
    Progress::Shard* const shard = progress_.find(behind[i].shard, epochs[i]);
    if (shard == nullptr) continue;
    const auto found = std::ranges::find(page.positions, behind[i].shard, &Ledger::Position::shard);
    if (found != page.positions.end()) {
      shard->taken = std::max(shard->taken, found->batch);
    } else if (shard->taken == behind[i].batch) {
      shard->taken = shard->lead.batch;  // retention has dropped the log of what this transport owes
      log::write(log::Level::error, log::tag::kDelivery, "what a transport owed is older than the log of batches",
                 {{"transport", name()}, {"shard", std::int64_t{shard->lead.shard}}});
    }
  }
  if (page.frames.size() < kFewFrames) {
    catch_up_batches_ = std::min(kMaxBatches, catch_up_batches_ * 2);
  } else if (frames_ > settings_.max_frames / 2) {
    catch_up_batches_ = std::max(1, catch_up_batches_ / 2);
  }
  co_return true;
}

asio::awaitable<void> Delivery::settle() {
  std::vector<Lead> reached;
  for (const Progress::Shard& shard : progress_.shards()) {
    if (!shard.begun) continue;
    reached.push_back(shard.lead);
    reached.back().batch = shard.settled();
  }
  if (!reached.empty()) co_await ledger_.settle(reached);
  for (const std::string& id : lagging_) {
    const auto at = streams_.find(id);
    if (at != streams_.end() && at->second->next_offset != at->second->saved_offset) unsaved_.insert(id);
  }
  co_await save_lags();
}

asio::awaitable<void> Delivery::replay() {
  while (!revived_.empty()) {
    const FramePtr frame = revived_.back();
    co_await ledger_.revive(*frame);
    std::erase(revived_, frame);
  }
  const std::vector<Lead> leads = progress_.leads();
  if (leads.empty()) co_return;
  for (const FramePtr& frame : co_await ledger_.to_replay(leads, kReplays)) {
    const Progress::Shard* const shard = progress_.find(frame->shard);
    if (shard != nullptr && shard->begun) take(frame, shard->lead.epoch, true);
  }
}

void Delivery::measure() {
  metrics_.queued.Set(static_cast<double>(frames_));
  metrics_.lagging.Set(static_cast<double>(lagging_.size()));
  std::int64_t oldest = 0;
  const auto older = [&oldest](std::int64_t ts) {
    if (ts > 0 && (oldest == 0 || ts < oldest)) oldest = ts;
  };
  for (const Progress::Shard& shard : progress_.shards()) {
    if (!shard.open.empty()) older(shard.open.front().ts);
  }
  for (const std::string& id : lagging_) {
    const auto at = streams_.find(id);
    if (at == streams_.end() || at->second->items.empty()) continue;
    older(envelope_ts(at->second->items.front().frame->text).value_or(0));
  }
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  metrics_.lag_seconds.Set(oldest == 0 ? 0 : static_cast<double>(now.count() - oldest) / 1000);
}

}  // namespace sealcast::transport::outside
