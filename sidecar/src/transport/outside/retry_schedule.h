// Decides when failed publishes are retried: at a time per stream, and after a pause of the whole transport.
#pragma once

#include <chrono>
#include <map>

#include "base/backoff.h"
#include "transport/outside/stream_queues.h"

namespace sealcast::transport::outside {

class RetrySchedule {
 public:
  using Clock = std::chrono::steady_clock;

  // The retry times of streams.
  void add(Clock::time_point time, StreamQueue& queue) { waiting_.emplace(time, &queue); }
  // Removes and returns the stream with the earliest retry time. Returns null when this time is after `now`, or when no
  // stream waits.
  StreamQueue* pop_due(Clock::time_point now);
  Clock::time_point next_stream() const;  // the earliest retry time; time_point::max() when no stream waits

  // The pause of the whole transport. During the pause nothing is published. After the pause, one publish is in
  // progress at a time, until a publish succeeds and resume() is called.
  //
  // pause() starts a pause. `least` is the shortest pause, which the service demands. When a pause is in progress,
  // pause() changes nothing and returns false: the publish that failed now began before the pause.
  bool pause(Clock::time_point now, std::chrono::milliseconds least);
  void resume();
  bool paused() const { return failures_ > 0; }
  bool may_publish(Clock::time_point now) const { return !paused() || now >= paused_until_; }
  Clock::time_point paused_until() const { return paused_until_; }
  int failures() const { return failures_; }  // pauses since the last call of resume()

 private:
  std::multimap<Clock::time_point, StreamQueue*> waiting_;
  int failures_ = 0;
  Clock::time_point paused_until_{};
  Backoff backoff_{std::chrono::milliseconds(200), std::chrono::seconds(30)};
};

}  // namespace sealcast::transport::outside
