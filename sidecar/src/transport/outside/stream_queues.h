// The frames of one transport that wait in memory: one queue per stream, and the order in which streams are published.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/event.h"
#include "config/settings.h"
#include "transport/outside/progress.h"
#include "transport/outside/routing.h"
#include "transport/transport.h"

namespace sealcast::transport::outside {

struct StreamQueue {
  using Clock = std::chrono::steady_clock;
  enum class State {
    idle,         // the queue has no frames
    ready,        // waits until a publish may start
    publishing,   // has a publish in progress
    waiting,      // waits for its retry time
    dead_letter,  // waits until the first frame of the queue is recorded as a dead letter
  };
  enum class Lag {
    none,
    unsaved,  // the lag is not recorded yet; the cursor of the shard still waits for the frames in memory
    saved,    // the lag is recorded; new frames are not queued, but read from Postgres
  };
  struct Entry {
    FramePtr frame;
    std::int64_t epoch;
    bool replay;  // the frame is the replay of a dead letter
  };

  std::string id;
  std::int32_t shard;
  std::deque<Entry> entries;
  State state = State::idle;
  std::uint64_t generation = 0;  // grows in clear(), so that a publish in progress notices that its entries are gone

  int failures = 0;  // failed publishes since the last success
  Clock::time_point failing_since{};
  Backoff backoff{std::chrono::milliseconds(200), std::chrono::seconds(30)};
  std::string reason;  // the reason of the last failure or of the lag

  Lag lag = Lag::none;
  std::int64_t next_offset = 0;   // all frames before this offset are delivered or dead letters; 0: unknown
  std::int64_t saved_offset = 0;  // the value of next_offset that is recorded in Postgres
  bool skipped_frames = false;    // after the last read from Postgres, new frames were not queued because of the lag

  void count_failure(std::string failure_reason);
  void reset_failures();
  // Returns the offset of the first queued frame that is not a replay, or next_offset when the queue has no such frame.
  std::int64_t first_undelivered() const;
};

// The tasks of the persistence loop (persistence.h).
struct PersistenceWork {
  explicit PersistenceWork(asio::any_io_executor executor) : changed(std::move(executor)) {}

  Event changed;                                 // wakes the loop before the next second
  std::unordered_set<std::string> unsaved_lags;  // streams whose recorded lag differs from the one in memory
  std::unordered_set<std::string> lagging;       // streams that are read from Postgres
  std::vector<StreamQueue*> dead_letters;        // streams in the state dead_letter
  std::vector<FramePtr> replayed;  // dead letters whose replay was delivered, and whose record must be removed
  bool finishing = false;          // the loop must record the progress once more, and end
};

class StreamQueues {
 public:
  // `routing`, `settings` and `work` must stay valid as long as this object.
  StreamQueues(std::string_view transport, const Routing& routing, const config::Settings::Delivery& settings,
               PersistenceWork& work);

  // Returns whether this number of additional frames and bytes fits into delivery.max_frames and delivery.max_bytes.
  bool has_room(std::size_t frames, std::size_t bytes) const;
  bool frames_half_full() const { return frames_ > settings_.max_frames / 2; }
  bool bytes_half_full() const { return bytes_ > settings_.max_bytes / 2; }
  std::size_t frames() const { return frames_; }

  bool routing_known() const { return routing_.knows(transport_); }
  bool carries(const std::string& stream_id) const { return routing_.carries(transport_, stream_id); }
  std::size_t recent_redactions() const { return recent_.size(); }
  StreamQueue* find(const std::string& stream_id);  // null when the stream has no queue
  StreamQueue& find_or_create(const std::string& stream_id, std::int32_t shard);

  // Queues a frame of a relay batch. Ignores the frame when the transport does not carry it, when the lag of the stream
  // is recorded, or when the frame is already delivered. With `may_lag`, a stream with more than 1024 queued
  // frames starts to lag.
  void add(const FramePtr& frame, std::int64_t epoch, bool may_lag);
  // Queues a dead letter for replay, unless it is already queued.
  void add_replay(const FramePtr& frame, std::int64_t epoch);
  void push(StreamQueue& queue, StreamQueue::Entry entry);
  // Replaces the content of redacted messages in the queue of their stream. Does the same for frames that are queued
  // within a minute: they may have been read from Postgres before the redaction.
  void redact(const RedactionPtr& redaction, StreamQueue::Clock::time_point now = StreamQueue::Clock::now());
  // Removes the first frame, which counts as delivered in `progress`. clear() does this for all frames.
  void pop(StreamQueue& queue);
  void clear(StreamQueue& queue);
  // Removes the frames and lags of a shard from memory. Call it when this sidecar no longer leads the shard, or leads
  // it under another epoch.
  void remove_shard(std::int32_t shard);

  bool has_ready() const { return !ready_.empty(); }
  StreamQueue& pop_ready();
  void make_ready(StreamQueue& queue, bool first = false);
  // Call it after a publish or after the retry time of a stream. Makes a queue with frames ready, and a queue without
  // frames idle. Destroys an idle queue whose stream does not lag and has no lag to record.
  void requeue_or_remove(StreamQueue& queue);

  void start_lag(StreamQueue& queue, std::string reason);
  void end_lag(StreamQueue& queue);

  Progress progress;

 private:
  // The redactions of the last minute, by the messages that they concern. A busy moderator of one stream must not slow
  // the others down.
  using Recent = std::multimap<std::string, RedactionPtr>;
  struct RecentAt {
    StreamQueue::Clock::time_point at;
    Recent::iterator redaction;
  };
  void forget_old_redactions(StreamQueue::Clock::time_point now);
  void apply_recent_redactions(FramePtr& frame) const;

  const std::string_view transport_;
  const Routing& routing_;
  const config::Settings::Delivery& settings_;
  PersistenceWork& work_;
  std::unordered_map<std::string, std::unique_ptr<StreamQueue>> queues_;
  std::deque<StreamQueue*> ready_;
  std::unordered_set<std::string> queued_replays_;  // stream id and offset of each queued replay
  std::size_t frames_ = 0;
  std::size_t bytes_ = 0;
  Recent recent_;
  std::deque<RecentAt> recent_order_;  // oldest first
};

}  // namespace sealcast::transport::outside
