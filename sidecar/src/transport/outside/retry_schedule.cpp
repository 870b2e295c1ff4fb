// Orders the waiting streams by retry time, and computes the pauses of the whole transport.
#include "transport/outside/retry_schedule.h"

namespace sealcast::transport::outside {

StreamQueue* RetrySchedule::pop_due(Clock::time_point now) {
  const auto first = waiting_.begin();
  if (first == waiting_.end() || first->first > now) return nullptr;
  StreamQueue* const queue = first->second;
  waiting_.erase(first);
  return queue;
}

RetrySchedule::Clock::time_point RetrySchedule::next_stream() const {
  return waiting_.empty() ? Clock::time_point::max() : waiting_.begin()->first;
}

bool RetrySchedule::pause(Clock::time_point now, std::chrono::milliseconds least) {
  if (!may_publish(now)) return false;
  ++failures_;
  paused_until_ = now + backoff_.next(least);
  return true;
}

void RetrySchedule::resume() {
  failures_ = 0;
  backoff_.reset();
}

}  // namespace sealcast::transport::outside
