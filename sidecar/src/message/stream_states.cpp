// Loads the states of streams, lets simultaneous joiners share a load, and notices when a state is no longer current.
#include "message/stream_states.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

namespace sealcast::message {

namespace {

constexpr std::size_t kMaxStreams = 10'000;
// No frame tells that retention has dropped a message, or that a type is retained no more.
constexpr std::chrono::seconds kMaxAge{30};

std::size_t bytes_of(const StreamState& state) {
  std::size_t bytes = sizeof(StreamState);
  for (const RetainedMessage& message : state.messages) bytes += sizeof message + message.envelope.capacity();
  return bytes;
}

}  // namespace

StreamStates::StreamStates(asio::any_io_executor executor, MemoryBudget& memory, Load load)
    : executor_(std::move(executor)),
      load_(std::move(load)),
      share_(memory, MemoryClass::rings, [this] { forget_all(); }) {}

// A load that is running keeps its entry. The readers that wait for it use the entry once more.
void StreamStates::forget_all() {
  entries_.clear();
  bytes_ = 0;
  share_.set(0);
}

void StreamStates::begin_log() {
  // Also for the readers that wait for a load.
  for (const auto& [stream_id, entry] : entries_) entry->published = entry->changed = 0;
  forget_all();
}

void StreamStates::observe(std::span<const transport::FramePtr> frames) {
  Entry* entry = nullptr;
  const std::string* stream_id = nullptr;
  for (const transport::FramePtr& frame : frames) {
    if (!stream_id || *stream_id != frame->stream_id) {
      stream_id = &frame->stream_id;
      const auto at = entries_.find(*stream_id);
      entry = at == entries_.end() ? nullptr : at->second.get();
    }
    if (!entry) continue;
    entry->published = std::max(entry->published, frame->offset);
    if (frame->redaction) entry->changed = std::max(entry->changed, frame->offset);
  }
}

void StreamStates::note_retained(const transport::Frame& frame) {
  const auto at = entries_.find(frame.stream_id);
  if (at != entries_.end()) at->second->changed = std::max(at->second->changed, frame.offset);
}

bool StreamStates::is_current(const Entry& entry, std::int64_t newest_redaction) const {
  return entry.state && entry.changed <= entry.state->last_offset &&
         entry.state->newest_redaction == newest_redaction && Clock::now() < entry.loaded_at + kMaxAge;
}

asio::awaitable<StreamStates::Current> StreamStates::read(std::string_view id, std::int64_t newest_redaction) {
  const std::string stream_id(id);
  if (entries_.size() >= kMaxStreams && !entries_.contains(stream_id)) forget_all();
  EntryPtr& place = entries_[stream_id];
  if (!place) place = std::make_shared<Entry>(executor_);
  const EntryPtr entry = place;
  // A load that starts after this call is new enough, whatever has changed meanwhile.
  const std::uint64_t wanted = entry->started + 1;
  while (!is_current(*entry, newest_redaction) && entry->ended < wanted) {
    if (entry->started == entry->ended) {
      ++entry->started;
      entry->done.clear();
      asio::co_spawn(executor_, load(stream_id, entry), asio::detached);
    }
    co_await entry->done.wait_until();
  }
  if (entry->ended >= wanted && entry->failure) std::rethrow_exception(entry->failure);
  // After a change, only the frames of the relay are newer than the state.
  const std::int64_t seen = entry->changed > entry->state->last_offset ? 0 : entry->published;
  Current current{entry->state, std::max(entry->state->last_offset, seen)};
  co_return current;
}

asio::awaitable<void> StreamStates::load(std::string stream_id, EntryPtr entry) {
  std::exception_ptr failure;
  StreamState state;
  try {
    const std::string_view id(stream_id);
    state = co_await load_(id);
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  entry->failure = failure;
  if (!failure) {
    const std::size_t bytes = bytes_of(state);
    entry->state = std::make_shared<const StreamState>(std::move(state));
    entry->loaded_at = Clock::now();
    if (const auto at = entries_.find(stream_id); at != entries_.end() && at->second == entry) {
      bytes_ += bytes - std::exchange(entry->bytes, bytes);
      share_.set(bytes_);
    }
  }
  ++entry->ended;
  entry->done.set();
}

void append_retained_frame(const RetainedMessage& message, transport::Channel channel, std::string& out) {
  const std::int64_t prev = channel == transport::Channel::everyone ? message.public_prev : message.offset - 1;
  transport::append_frame(message.offset, prev, message.envelope, {}, out);
  out.back() = ',';
  out += "\"retained\":true}";
}

}  // namespace sealcast::message
