// The parts of a process: they start in the order in which they were added and stop in reverse.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "base/asio.h"

namespace sealcast::app {

// Because of this order, a running part may use all parts that were added before it.
class Parts {
 public:
  using Clock = std::chrono::steady_clock;
  // Finishes the part's work and stops the part, at `deadline` at the latest. Afterwards the part can be destroyed.
  using Stop = std::function<asio::awaitable<void>(Clock::time_point deadline)>;

  void add(std::function<void()> start, Stop stop);
  // Adds a part whose `stop` does not wait for anything.
  void add(std::function<void()> start, std::function<void()> stop);

  // Starts the parts in order. If a part throws, passes the exception on and does not start the later parts.
  void start();
  // Stops the started parts in reverse order, one after the other.
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
