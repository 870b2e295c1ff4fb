// The frames of one transport that wait in memory: one queue per stream, and the order in which streams are served.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
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
    idle,         // has no frames
    ready,        // waits for a publish
    publishing,   // has a publish in progress
    waiting,      // waits for its retry time
    dead_letter,  // waits until its first frame is recorded as a dead letter
  };
  enum class Lag {
    none,
    unsaved,  // not yet recorded; the frames in memory still hold the cursor of the shard
    saved,    // recorded; new frames are read from Postgres instead of being queued
  };
  struct Entry {
    FramePtr frame;
    std::int64_t epoch;
    bool replay;  // of a dead letter
  };

  std::string id;
  std::int32_t shard;
  std::deque<Entry> entries;
  State state = State::idle;
  std::uint64_t generation = 0;  // grows when all entries are removed, so that a publish in progress notices it

  int failures = 0;  // since the last success
  Clock::time_point failing_since{};
  Backoff backoff{std::chrono::milliseconds(200), std::chrono::seconds(30)};
  std::string reason;  // of the last failure or of the lag

  Lag lag = Lag::none;
  std::int64_t next_offset = 0;   // all offsets before this one are delivered
  std::int64_t saved_offset = 0;  // the next_offset that is recorded
  bool skipped_frames = false;    // since the last read, frames were not queued because of the lag

  void count_failure(std::string failure_reason);
  void reset_failures();
  std::int64_t first_undelivered() const;
};

// What the persistence loop must do next.
struct PersistenceWork {
  explicit PersistenceWork(asio::any_io_executor executor) : changed(std::move(executor)) {}

  Event changed;                                 // set for work that must not wait until the next second
  std::unordered_set<std::string> unsaved_lags;  // streams whose recorded lag differs from the one in memory
  std::unordered_set<std::string> lagging;       // streams that are read from Postgres
  std::vector<StreamQueue*> dead_letters;        // streams in the state dead_letter
  std::vector<FramePtr> replayed;                // dead letters whose replay was delivered
  bool finishing = false;                        // record the progress once more, then end
};

class StreamQueues {
 public:
  // `routing`, `settings` and `work` outlive this.
  StreamQueues(std::string_view transport, const Routing& routing, const config::Settings::Delivery& settings,
               PersistenceWork& work);

  // Whether so many more frames fit into delivery.max_frames and delivery.max_bytes.
  bool has_room(std::size_t frames, std::size_t bytes) const;
  bool frames_half_full() const { return frames_ > settings_.max_frames / 2; }
  bool bytes_half_full() const { return bytes_ > settings_.max_bytes / 2; }
  std::size_t frames() const { return frames_; }

  bool carries(const std::string& stream_id) const { return routing_.carries(transport_, stream_id); }
  StreamQueue* find(const std::string& stream_id);  // null when there is none
  StreamQueue& find_or_create(const std::string& stream_id, std::int32_t shard);

  // Queues a frame of a relay batch, unless the transport does not carry the stream, or the stream lags, or the frame
  // is already delivered. With `may_lag`, a stream with too many frames starts to lag.
  void add(const FramePtr& frame, std::int64_t epoch, bool may_lag);
  // Queues a dead letter, unless it is queued already.
  void add_replay(const FramePtr& frame, std::int64_t epoch);
  void push(StreamQueue& queue, StreamQueue::Entry entry);
  void pop(StreamQueue& queue);
  void clear(StreamQueue& queue);
  // Another sidecar leads the shard now, or this one under another epoch.
  void remove_shard(std::int32_t shard);

  bool has_ready() const { return !ready_.empty(); }
  StreamQueue& pop_ready();
  void make_ready(StreamQueue& queue, bool first = false);
  // After a publish or a pause: makes the queue ready again, or idle. Removes an idle queue that has nothing to record.
  void requeue_or_remove(StreamQueue& queue);

  void start_lag(StreamQueue& queue, std::string reason);
  void end_lag(StreamQueue& queue);

  Progress progress;

 private:
  const std::string_view transport_;
  const Routing& routing_;
  const config::Settings::Delivery& settings_;
  PersistenceWork& work_;
  std::unordered_map<std::string, std::unique_ptr<StreamQueue>> queues_;
  std::deque<StreamQueue*> ready_;
  std::unordered_set<std::string> queued_replays_;  // see key_of()
  std::size_t frames_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace sealcast::transport::outside
