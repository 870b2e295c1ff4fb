// The progress of a replay as text: count, rate, remaining time.
//
// On a terminal one line is rewritten five times per second; elsewhere a new line is printed every 5 seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sealcast::events {

class ReplayProgress {
 public:
  using Clock = std::chrono::steady_clock;

  ReplayProgress(std::int64_t total, bool terminal, Clock::time_point now);

  // Returns the text to print now; empty when the last text is recent.
  std::string at(std::int64_t done, Clock::time_point now);
  // Returns the last text.
  std::string end(std::int64_t done, Clock::time_point now) const;

 private:
  std::string line(std::int64_t done, Clock::time_point now) const;

  std::int64_t total_;
  bool terminal_;
  Clock::time_point began_;
  Clock::time_point next_;
};

}  // namespace sealcast::events
