// Adds frames to the queues of their streams, removes them, and decides when a stream starts to lag.
#include "transport/outside/stream_queues.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace sealcast::transport::outside {

namespace {

// A stream with more queued frames starts to lag, so that it does not use the memory that other streams need.
constexpr std::size_t kMaxOfStream = 1024;

// Longer than a statement may take to return frames.
constexpr std::chrono::minutes kRecent{1};

// Replaces the frame if the redaction concerns it.
void redact_frame(FramePtr& frame, const Redaction& redaction) {
  if (frame->stream_id != redaction.stream_id) return;
  std::optional<std::string> text = redacted_frame(frame->text, redaction);
  if (!text) return;
  auto redacted = std::make_shared<Frame>(*frame);
  redacted->text = std::move(*text);
  frame = std::move(redacted);
}

// The key of the redactions that concern messages of a sender: of one message, or, with an empty `txn_id`, of a purge.
std::string redaction_key(std::string_view stream_id, std::string_view sender_id, std::string_view txn_id) {
  return std::string(stream_id).append(1, ' ').append(sender_id).append(1, ' ').append(txn_id);
}

std::string key_of(const Frame& frame) { return frame.stream_id + ' ' + std::to_string(frame.offset); }

}  // namespace

void StreamQueue::count_failure(std::string failure_reason) {
  if (failures++ == 0) failing_since = Clock::now();
  reason = std::move(failure_reason);
}

void StreamQueue::reset_failures() {
  failures = 0;
  backoff.reset();
}

std::int64_t StreamQueue::first_undelivered() const {
  const auto first = std::ranges::find(entries, false, &Entry::replay);
  return first == entries.end() ? next_offset : first->frame->offset;
}

StreamQueues::StreamQueues(std::string_view transport, const Routing& routing,
                           const config::Settings::Delivery& settings, PersistenceWork& work)
    : transport_(transport), routing_(routing), settings_(settings), work_(work) {}

bool StreamQueues::has_room(std::size_t frames, std::size_t bytes) const {
  return frames_ + frames <= settings_.max_frames && bytes_ + bytes <= settings_.max_bytes;
}

StreamQueue* StreamQueues::find(const std::string& stream_id) {
  const auto at = queues_.find(stream_id);
  return at == queues_.end() ? nullptr : at->second.get();
}

StreamQueue& StreamQueues::find_or_create(const std::string& stream_id, std::int32_t shard) {
  auto& queue = queues_[stream_id];
  if (!queue) {
    queue = std::make_unique<StreamQueue>();
    queue->id = stream_id;
    queue->shard = shard;
  }
  return *queue;
}

void StreamQueues::add(const FramePtr& frame, std::int64_t epoch, bool may_lag) {
  if (!routing_.carries(transport_, *frame)) return;
  StreamQueue& queue = find_or_create(frame->stream_id, frame->shard);
  // Only the announcement of a redaction gets here without its stream, which then has no other frames to read.
  if (queue.lag == StreamQueue::Lag::saved && !carries(frame->stream_id)) end_lag(queue);
  if (queue.lag == StreamQueue::Lag::saved) {
    queue.skipped_frames = true;
    return;
  }
  if (frame->offset < queue.next_offset) return;
  progress.add(*frame, epoch);
  push(queue, {frame, epoch, false});
  if (may_lag && queue.lag == StreamQueue::Lag::none && queue.entries.size() > kMaxOfStream) {
    start_lag(queue, "messages arrive faster than the outside service accepts them");
  }
}

void StreamQueues::add_replay(const FramePtr& frame, std::int64_t epoch) {
  StreamQueue& queue = find_or_create(frame->stream_id, frame->shard);
  if (queued_replays_.insert(key_of(*frame)).second) push(queue, {frame, epoch, true});
}

void StreamQueues::redact(const RedactionPtr& redaction, StreamQueue::Clock::time_point now) {
  forget_old_redactions(now);
  std::string key = redaction_key(redaction->stream_id, redaction->sender_id, redaction->txn_id);
  recent_order_.push_back({now, recent_.emplace(std::move(key), redaction)});
  StreamQueue* const queue = find(redaction->stream_id);
  if (queue == nullptr) return;
  for (StreamQueue::Entry& entry : queue->entries) {
    bytes_ -= entry.frame->text.size();
    redact_frame(entry.frame, *redaction);
    bytes_ += entry.frame->text.size();
  }
}

void StreamQueues::forget_old_redactions(StreamQueue::Clock::time_point now) {
  while (!recent_order_.empty() && recent_order_.front().at + kRecent < now) {
    recent_.erase(recent_order_.front().redaction);
    recent_order_.pop_front();
  }
}

void StreamQueues::apply_recent_redactions(FramePtr& frame) const {
  if (recent_.empty()) return;
  const std::string sender(envelope_sender(frame->text)), txn(envelope_txn(frame->text));
  for (const std::string_view txn_id : {std::string_view(txn), std::string_view()}) {
    const auto [first, last] = recent_.equal_range(redaction_key(frame->stream_id, sender, txn_id));
    for (auto recent = first; recent != last; ++recent) redact_frame(frame, *recent->second);
  }
}

void StreamQueues::push(StreamQueue& queue, StreamQueue::Entry entry) {
  forget_old_redactions(StreamQueue::Clock::now());
  apply_recent_redactions(entry.frame);
  ++frames_;
  bytes_ += entry.frame->text.size();
  queue.entries.push_back(std::move(entry));
  if (queue.state == StreamQueue::State::idle) make_ready(queue);
}

void StreamQueues::pop(StreamQueue& queue) {
  const StreamQueue::Entry entry = std::move(queue.entries.front());
  queue.entries.pop_front();
  --frames_;
  bytes_ -= entry.frame->text.size();
  if (entry.replay) {
    queued_replays_.erase(key_of(*entry.frame));
  } else {
    progress.settle(*entry.frame, entry.epoch);
  }
}

void StreamQueues::clear(StreamQueue& queue) {
  while (!queue.entries.empty()) pop(queue);
  ++queue.generation;
}

void StreamQueues::remove_shard(std::int32_t shard) {
  std::vector<StreamQueue*> removed;
  for (auto& [id, queue] : queues_) {
    if (queue->shard == shard) removed.push_back(queue.get());
  }
  for (StreamQueue* queue : removed) {
    clear(*queue);
    queue->lag = StreamQueue::Lag::none;
    queue->next_offset = queue->saved_offset = 0;
    work_.unsaved_lags.erase(queue->id);
    work_.lagging.erase(queue->id);
    if (queue->state == StreamQueue::State::idle) queues_.erase(queue->id);
  }
}

StreamQueue& StreamQueues::pop_ready() {
  StreamQueue& queue = *ready_.front();
  ready_.pop_front();
  return queue;
}

void StreamQueues::make_ready(StreamQueue& queue, bool first) {
  queue.state = StreamQueue::State::ready;
  if (first) {
    ready_.push_front(&queue);
  } else {
    ready_.push_back(&queue);
  }
}

void StreamQueues::requeue_or_remove(StreamQueue& queue) {
  queue.state = StreamQueue::State::idle;
  if (!queue.entries.empty()) {
    make_ready(queue);
  } else if (queue.lag != StreamQueue::Lag::none) {
    work_.changed.set();
  } else if (!work_.unsaved_lags.contains(queue.id)) {
    queues_.erase(queue.id);
  }
}

void StreamQueues::start_lag(StreamQueue& queue, std::string reason) {
  queue.lag = StreamQueue::Lag::unsaved;
  queue.reason = std::move(reason);
  work_.unsaved_lags.insert(queue.id);
  work_.changed.set();
}

void StreamQueues::end_lag(StreamQueue& queue) {
  queue.lag = StreamQueue::Lag::none;
  queue.reset_failures();
  work_.lagging.erase(queue.id);
  work_.unsaved_lags.insert(queue.id);
  work_.changed.set();
}

}  // namespace sealcast::transport::outside
