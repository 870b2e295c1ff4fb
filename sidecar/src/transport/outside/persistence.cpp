// The steps of the loop that records the progress of one transport: read the cursors of new shards, record lags, dead
// letters and cursors, read the frames of lagging streams, and read batches that did not fit into memory.
#include "transport/outside/persistence.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <optional>
#include <utility>

namespace sealcast::transport::outside {

namespace {

using Lag = StreamQueue::Lag;
using State = StreamQueue::State;

constexpr std::chrono::seconds kSettleEvery{1};
constexpr std::chrono::milliseconds kAfterFailure{200};
constexpr std::int32_t kPageFrames = 200;  // frames of a lagging stream that one statement reads
constexpr std::int32_t kReplays = 100;     // dead letters that one statement reads
constexpr std::int32_t kMaxBatches = 1024;
constexpr std::size_t kFewFrames = 512;  // after a page with fewer frames, the next page has twice as many batches

}  // namespace

Persistence::Persistence(asio::any_io_executor executor, std::string_view transport, Adapter& adapter,
                         DeliveryStore& store, StreamQueues& queues, PersistenceWork& work, Publisher& publisher,
                         const Metrics::Delivery& metrics)
    : executor_(executor),
      transport_(transport),
      adapter_(adapter),
      store_(store),
      queues_(queues),
      work_(work),
      publisher_(publisher),
      metrics_(metrics),
      finished_(executor) {}

void Persistence::start() { asio::co_spawn(executor_, run(), asio::detached); }

asio::awaitable<void> Persistence::finish(Clock::time_point deadline) {
  work_.finishing = true;
  work_.changed.set();
  co_await finished_.wait_until(deadline);
}

asio::awaitable<void> Persistence::run() {
  next_settle_ = Clock::now() + kSettleEvery;
  while (true) {
    bool more = false, ready = false;
    std::optional<postgres::Error> error;
    const bool last = work_.finishing && publisher_.idle();
    if (last) next_settle_ = Clock::now();
    work_.changed.clear();
    try {
      ready = co_await store_.connected_by(Clock::now() + kSettleEvery);
      ready = ready && queues_.routing_known();
      if (ready) more = co_await run_once();
    } catch (const postgres::Error& caught) {
      error = caught;
    }
    if (last) break;
    update_metrics();
    if (error && log_throttle_.allows()) {
      log::write(
          log::Level::error, log::tag::kDelivery, "deliveries cannot be recorded or read; retrying",
          {{"transport", transport_}, {"sqlstate", error->sqlstate()}, {"reason", std::string_view(error->what())}});
    }
    if (more) continue;
    const bool failed = error || !ready;
    if (failed) work_.changed.clear();
    co_await work_.changed.wait_until(failed ? Clock::now() + kAfterFailure : next_settle_);
  }
  finished_.set();
}

// Runs all steps once. Returns true when the next run must follow without a pause.
asio::awaitable<bool> Persistence::run_once() {
  co_await start_shards();
  co_await save_lags();
  co_await save_dead_letters();
  if (Clock::now() >= next_settle_) {
    next_settle_ = Clock::now() + kSettleEvery;
    co_await settle();
    co_await replay();
  }
  if (work_.finishing) co_return false;
  bool more = false;
  // may_publish() is also true after the pause of a transport. Then lagging frames must be read too: only a publish can
  // find out whether the service is available again.
  if (publisher_.may_publish()) more = co_await read_lagging();
  more = co_await catch_up() || more;
  publisher_.publish_ready();
  co_return more;
}

asio::awaitable<void> Persistence::start_shards() {
  std::vector<Lead> leads;
  for (const Progress::Shard& shard : queues_.progress.shards()) {
    if (shard.started) continue;
    leads.push_back(shard.lead);
    leads.back().batch = shard.acquired;
  }
  if (leads.empty()) co_return;
  const std::vector<DeliveryStore::StreamLag> lags = co_await store_.lagging_streams(leads);
  const std::vector<DeliveryStore::Cursor> cursors = co_await store_.start_shards(leads);
  for (const Lead& lead : leads) {
    const auto cursor = std::ranges::find(cursors, lead.shard, &DeliveryStore::Cursor::shard);
    // A shard without a cursor has another epoch by now. The relay will soon remove it from the leads.
    if (cursor != cursors.end()) start_shard(lead, cursor->batch, lags);
  }
}

void Persistence::start_shard(const Lead& lead, std::int64_t cursor, std::span<const DeliveryStore::StreamLag> lags) {
  Progress::Shard* const shard = queues_.progress.find(lead.shard, lead.epoch);
  if (shard == nullptr) return;
  shard->started = true;
  shard->queued = cursor;
  for (const DeliveryStore::StreamLag& lag : lags) {
    if (lag.shard != lead.shard) continue;
    StreamQueue& queue = queues_.find_or_create(lag.stream_id, lag.shard);
    queue.lag = Lag::saved;
    queue.next_offset = queue.saved_offset = lag.next_offset;
    work_.lagging.insert(lag.stream_id);
  }
}

asio::awaitable<void> Persistence::save_lags() {
  if (work_.unsaved_lags.empty()) co_return;
  std::vector<DeliveryStore::StreamLag> lags;
  for (const std::string& id : work_.unsaved_lags) {
    const StreamQueue* const queue = queues_.find(id);
    const bool caught_up = queue == nullptr || queue->lag == Lag::none;
    DeliveryStore::StreamLag lag{id, 0, caught_up ? 0 : queue->first_undelivered(), caught_up ? "" : queue->reason};
    lags.push_back(std::move(lag));
  }
  co_await store_.save_lags(queues_.progress.leads(), lags);
  for (const DeliveryStore::StreamLag& saved : lags) lag_was_saved(saved);
}

void Persistence::lag_was_saved(const DeliveryStore::StreamLag& saved) {
  StreamQueue* const queue = queues_.find(saved.stream_id);
  const bool caught_up = saved.next_offset == 0;
  // The stream began to lag again while the statement ran. The next run records that lag.
  if (queue != nullptr && caught_up && queue->lag != Lag::none) return;
  work_.unsaved_lags.erase(saved.stream_id);
  if (queue == nullptr) return;
  if (caught_up) {
    if (queue->state == State::idle) queues_.requeue_or_remove(*queue);
    return;
  }
  queue->saved_offset = saved.next_offset;
  if (queue->lag != Lag::unsaved) return;
  // From now on the frames of this stream are read from Postgres. Its frames are removed from memory, so the cursor of
  // the shard can advance without them.
  queue->next_offset = std::max(queue->first_undelivered(), saved.next_offset);
  queue->lag = Lag::saved;
  queue->skipped_frames = true;
  work_.lagging.insert(queue->id);
  queues_.clear(*queue);
}

asio::awaitable<void> Persistence::save_dead_letters() {
  while (!work_.dead_letters.empty()) {
    StreamQueue& queue = *work_.dead_letters.back();
    if (queue.entries.empty()) {
      work_.dead_letters.pop_back();
      queues_.requeue_or_remove(queue);
      continue;
    }
    const FramePtr frame = queue.entries.front().frame;
    const std::uint64_t generation = queue.generation;
    co_await store_.add_dead_letter(queues_.progress.leads(), *frame, queue.reason, queue.failures);
    std::erase(work_.dead_letters, &queue);
    metrics_.dead.Increment();
    log::write(log::Level::warn, log::tag::kDelivery, "a message became a dead letter",
               {{"transport", transport_},
                {"stream_id", std::string_view(frame->stream_id)},
                {"offset", frame->offset},
                {"reason", std::string_view(queue.reason)}});
    if (queue.generation == generation) {
      queue.next_offset = std::max(queue.next_offset, frame->offset + 1);
      queues_.pop(queue);
    }
    queues_.requeue_or_remove(queue);
  }
}

// Reads the next frames of each lagging stream whose queue is empty. Returns true when it read frames, or when new
// frames of a lagging stream were published meanwhile.
asio::awaitable<bool> Persistence::read_lagging() {
  bool read = false;
  const std::vector<std::string> ids(work_.lagging.begin(), work_.lagging.end());
  for (const std::string& id : ids) {
    if (!queues_.has_room(kPageFrames, 0)) break;
    read = co_await read_lagging(id) || read;
  }
  co_return read;
}

asio::awaitable<bool> Persistence::read_lagging(const std::string& stream_id) {
  StreamQueue* queue = queues_.find(stream_id);
  if (queue == nullptr || queue->lag != Lag::saved) {
    work_.lagging.erase(stream_id);
    co_return false;
  }
  if (queue->state != State::idle || !queue->entries.empty()) co_return false;
  if (!queues_.carries(stream_id)) {
    queues_.end_lag(*queue);
    co_return false;
  }
  queue->skipped_frames = false;
  const std::int32_t shard = queue->shard;
  const Progress::Shard* const led = queues_.progress.find(shard);
  if (led == nullptr) co_return false;
  const std::int64_t epoch = led->lead.epoch;
  const DeliveryStore::StreamPage page = co_await store_.stream_page(stream_id, shard, queue->next_offset, kPageFrames);
  // While the statement ran, the queue may have been removed, or the shard lost.
  queue = queues_.find(stream_id);
  if (queue == nullptr || queue->lag != Lag::saved || !queues_.progress.find(shard, epoch)) co_return false;
  if (page.last_offset == 0) {
    if (queue->skipped_frames) co_return true;
    queues_.end_lag(*queue);
    co_return false;
  }
  if (page.frames.empty()) queue->next_offset = page.last_offset + 1;
  for (const FramePtr& frame : page.frames) queues_.push(*queue, {frame, epoch, false});
  co_return true;
}

// Reads batches that did not fit into memory when the relay published them. Returns true when it ran a statement,
// because more batches may be left.
asio::awaitable<bool> Persistence::catch_up() {
  if (queues_.frames_half_full() || queues_.bytes_half_full()) co_return false;
  std::vector<DeliveryStore::Cursor> behind;
  std::vector<std::int64_t> epochs;
  for (const Progress::Shard& shard : queues_.progress.shards()) {
    if (!shard.started || shard.current()) continue;
    const DeliveryStore::Cursor cursor{shard.lead.shard, shard.queued};
    behind.push_back(cursor);
    epochs.push_back(shard.lead.epoch);
  }
  if (behind.empty()) co_return false;
  const DeliveryStore::BatchPage page = co_await store_.batches_after(behind, catch_up_batches_);
  for (const FramePtr& frame : page.frames) {
    const auto at = std::ranges::find(behind, frame->shard, &DeliveryStore::Cursor::shard);
    const std::int64_t epoch = epochs[static_cast<std::size_t>(at - behind.begin())];
    const Progress::Shard* const shard = queues_.progress.find(frame->shard, epoch);
    if (shard != nullptr && frame->batch > shard->queued) queues_.add(frame, epoch, !publisher_.paused());
  }
  for (std::size_t i = 0; i < behind.size(); ++i) {
    Progress::Shard* const shard = queues_.progress.find(behind[i].shard, epochs[i]);
    if (shard == nullptr) continue;
    const auto found = std::ranges::find(page.read_up_to, behind[i].shard, &DeliveryStore::Cursor::shard);
    if (found != page.read_up_to.end()) {
      shard->queued = std::max(shard->queued, found->batch);
    } else if (shard->queued == behind[i].batch) {
      shard->queued = shard->lead.batch;
      log::write(log::Level::error, log::tag::kDelivery,
                 "retention removed relay batches from the log before a transport delivered them",
                 {{"transport", transport_}, {"shard", std::int64_t{shard->lead.shard}}});
    }
  }
  if (page.frames.size() < kFewFrames) {
    catch_up_batches_ = std::min(kMaxBatches, catch_up_batches_ * 2);
  } else if (queues_.frames_half_full()) {
    catch_up_batches_ = std::max(1, catch_up_batches_ / 2);
  }
  co_return true;
}

asio::awaitable<void> Persistence::settle() {
  std::vector<Lead> settled;
  for (const Progress::Shard& shard : queues_.progress.shards()) {
    if (!shard.started) continue;
    settled.push_back(shard.lead);
    settled.back().batch = shard.settled();
  }
  if (!settled.empty()) {
    co_await adapter_.before_settle();
    co_await store_.settle(settled);
  }
  for (const std::string& id : work_.lagging) {
    const StreamQueue* const queue = queues_.find(id);
    if (queue != nullptr && queue->next_offset != queue->saved_offset) work_.unsaved_lags.insert(id);
  }
  co_await save_lags();
}

asio::awaitable<void> Persistence::replay() {
  while (!work_.replayed.empty()) {
    const FramePtr frame = work_.replayed.back();
    co_await store_.remove_dead_letter(*frame);
    std::erase(work_.replayed, frame);
  }
  const std::vector<Lead> leads = queues_.progress.leads();
  if (leads.empty()) co_return;
  const std::vector<FramePtr> frames = co_await store_.dead_letters_to_replay(leads, kReplays);
  for (const FramePtr& frame : frames) {
    const Progress::Shard* const shard = queues_.progress.find(frame->shard);
    if (shard != nullptr && shard->started) queues_.add_replay(frame, shard->lead.epoch);
  }
}

void Persistence::update_metrics() {
  metrics_.queued.Set(static_cast<double>(queues_.frames()));
  metrics_.lagging.Set(static_cast<double>(work_.lagging.size()));
  std::int64_t oldest = 0;
  const auto include = [&oldest](std::int64_t ts) {
    if (ts > 0 && (oldest == 0 || ts < oldest)) oldest = ts;
  };
  for (const Progress::Shard& shard : queues_.progress.shards()) {
    if (!shard.open.empty()) include(shard.open.front().ts);
  }
  for (const std::string& id : work_.lagging) {
    const StreamQueue* const queue = queues_.find(id);
    if (queue == nullptr || queue->entries.empty()) continue;
    include(envelope_ts(queue->entries.front().frame->text).value_or(0));
  }
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  metrics_.lag_seconds.Set(oldest == 0 ? 0 : static_cast<double>(now.count() - oldest) / 1000);
}

}  // namespace sealcast::transport::outside
