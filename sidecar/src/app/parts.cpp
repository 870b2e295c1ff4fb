// Starts and stops the parts of a process.
#include "app/parts.h"

#include <utility>

namespace sealcast::app {

void Parts::add(std::function<void()> start, Stop stop) { parts_.push_back({std::move(start), std::move(stop)}); }

void Parts::add(std::function<void()> start, std::function<void()> stop) {
  add(std::move(start), [stop = std::move(stop)](Clock::time_point) -> asio::awaitable<void> {
    stop();
    co_return;
  });
}

void Parts::start() {
  for (; started_ < parts_.size(); ++started_) parts_[started_].start();
}

asio::awaitable<void> Parts::stop(Clock::time_point deadline) {
  while (started_ > 0) co_await parts_[--started_].stop(deadline);
}

}  // namespace sealcast::app
