// Formats the progress of a replay as text: number of messages, rate, remaining time.
//
// On a terminal, one line is rewritten at most five times per second. Otherwise, a new line is printed at most every 5
// seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sealcast::events {

class ReplayProgress {
 public:
  using Clock = std::chrono::steady_clock;

  ReplayProgress(std::int64_t total, bool terminal, Clock::time_point now);

  // Returns the text to print now, or an empty string when it is too early for the next text.
  std::string at(std::int64_t done, Clock::time_point now);
  // Returns the text to print at the end of the replay.
  std::string end(std::int64_t done, Clock::time_point now) const;

 private:
  std::string line(std::int64_t done, Clock::time_point now) const;

  std::int64_t total_;
  bool terminal_;
  Clock::time_point began_;
  Clock::time_point next_;
};

}  // namespace sealcast::events
