// The parts of a process: they start in the order in which they were added and stop in reverse.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "base/asio.h"

namespace sealcast::app {

// So a part may use every part that was added before it, for as long as it runs.
class Parts {
 public:
  using Clock = std::chrono::steady_clock;
  // Finishes the part's work, by `deadline` at the latest, and stops it. The part needs no more than that to be
  // destroyed.
  using Stop = std::function<asio::awaitable<void>(Clock::time_point deadline)>;

  void add(std::function<void()> start, Stop stop);
  // For a part that stops at once.
  void add(std::function<void()> start, std::function<void()> stop);

  // Throws the exception of the first part that cannot start. Later parts are then not started.
  void start();
  // Stops the started parts, one after the other.
  asio::awaitable<void> stop(Clock::time_point deadline);

 private:
  struct Part {
    std::function<void()> start;
    Stop stop;
  };

  std::vector<Part> parts_;
  std::size_t started_ = 0;
};

}  // namespace sealcast::app
