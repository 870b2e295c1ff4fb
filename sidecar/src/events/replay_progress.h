// How far a long run is: count, rate and what is left, on one line of a terminal, or a line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sealcast::events {

class RunProgress {
 public:
  using Clock = std::chrono::steady_clock;

  RunProgress(std::string what, std::int64_t total, bool terminal, Clock::time_point now);

  // The text to be printed now; empty: not yet.
  std::string at(std::int64_t done, Clock::time_point now);
  std::string end(std::int64_t done, Clock::time_point now) const;

 private:
  std::string line(std::int64_t done, Clock::time_point now) const;

  std::string what_;
  std::int64_t total_;
  bool terminal_;
  Clock::time_point began_;
  Clock::time_point next_;
};

}  // namespace sealcast::events
