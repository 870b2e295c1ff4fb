// When failed publishes are retried: a time per stream, and a pause of the whole transport.
#pragma once

#include <chrono>
#include <map>

#include "base/backoff.h"
#include "transport/outside/stream_queues.h"

namespace sealcast::transport::outside {

class RetrySchedule {
 public:
  using Clock = std::chrono::steady_clock;

  // Streams.
  void add(Clock::time_point time, StreamQueue& queue) { waiting_.emplace(time, &queue); }
  // Removes and returns a stream whose time has come; null when there is none.
  StreamQueue* pop_due(Clock::time_point now);
  Clock::time_point next_stream() const;  // time_point::max() when no stream waits

  // The whole transport. During a pause nothing is published; after it, one publish at a time, until one succeeds.
  // `least` is the pause that the service asks for. During a pause this does nothing and returns false: the failed
  // publish began before the pause.
  bool pause(Clock::time_point now, std::chrono::milliseconds least);
  void resume();
  bool paused() const { return failures_ > 0; }
  bool may_publish(Clock::time_point now) const { return !paused() || now >= paused_until_; }
  Clock::time_point paused_until() const { return paused_until_; }
  int failures() const { return failures_; }  // since the last success

 private:
  std::multimap<Clock::time_point, StreamQueue*> waiting_;
  int failures_ = 0;
  Clock::time_point paused_until_{};
  Backoff backoff_{std::chrono::milliseconds(200), std::chrono::seconds(30)};
};

}  // namespace sealcast::transport::outside
