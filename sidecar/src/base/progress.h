// Formats the progress of a long command as text: how much is done, rate, remaining time.
//
// On a terminal, one line is rewritten at most five times per second. Otherwise, a new line is printed at most every 5
// seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace sealcast {

class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  // The work of a command so far. `total` may change.
  struct Work {
    std::int64_t done;   // in the units of `total`
    std::int64_t total;  // what the remaining time is computed from
    std::int64_t count;  // what the rate is computed from
    std::string text;    // begins the line
  };

  Progress(bool terminal, Clock::time_point now);

  // Returns the text to print now, or an empty string when it is too early for the next text.
  std::string at(const Work& work, Clock::time_point now);
  // Returns the text to print at the end.
  std::string end(const Work& work, Clock::time_point now) const;

 private:
  std::string line(const Work& work, Clock::time_point now) const;

  bool terminal_;
  Clock::time_point began_;
  Clock::time_point next_;
};

}  // namespace sealcast
