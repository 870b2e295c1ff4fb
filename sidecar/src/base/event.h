// An event for which coroutines of one event loop wait.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "base/asio.h"

namespace sealcast {

// Once set, an event stays set until clear(). A coroutine that begins to wait after set() continues at once, so no
// wake-up is lost.
class Event {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Event(asio::any_io_executor executor);
  ~Event();  // wakes all waiting coroutines
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set();
  void clear();
  bool is_set() const;

  // Returns true once the event is set. Returns false at `deadline`, when the event is destroyed, or when clear()
  // follows set() before the waiting coroutine continues.
  asio::awaitable<bool> wait_until(Clock::time_point deadline = Clock::time_point::max());
  asio::awaitable<bool> wait_for(Clock::duration time) { return wait_until(Clock::now() + time); }

 private:
  struct Waiters;
  static asio::awaitable<bool> wait(std::shared_ptr<Waiters> waiters, Clock::time_point deadline);

  std::shared_ptr<Waiters> waiters_;  // outlives the event while a coroutine waits
};

// Suspend the calling coroutine.
asio::awaitable<void> sleep_until(Event::Clock::time_point time);
inline asio::awaitable<void> sleep_for(Event::Clock::duration time) { return sleep_until(Event::Clock::now() + time); }

}  // namespace sealcast
