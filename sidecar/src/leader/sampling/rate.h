// Velocity measures how many messages per second a stream has. RateControl decides from that at which rate the stream
// is sampled (docs/sampling.md). Neither class reads a clock or does I/O.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

#include "config/settings.h"
#include "transport/frame.h"

namespace sealcast::leader::sampling {

// Measures the velocity of each stream: its messages per second, over the last 3 whole seconds.
class Velocity {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kWindow{3};

  void count(std::span<const transport::FramePtr> frames, Clock::time_point now);

  // Returns the messages per second of each stream: the mean of the last 3 whole seconds before `now`. A stream that
  // has no messages in these seconds is left out.
  const std::unordered_map<std::string, double>& measure(Clock::time_point now);

 private:
  struct Seconds {
    std::array<std::uint32_t, kWindow.count()> counts{};  // messages in each of the last whole seconds
    std::uint32_t current = 0;                            // messages in the second that has not ended yet
  };
  void advance_to(std::int64_t second);

  std::int64_t second_ = 0;
  std::unordered_map<std::string, Seconds> streams_;
  std::unordered_map<std::string, double> measured_;
};

inline constexpr int kAllUsers = 100;  // the rate of a stream that is not sampled

// Decides the rate of one stream, with hysteresis. `storm` and `calm` are settings of sampling.
//
// A rate is 100 percent (not sampled), or 5 to 20 percent. The ideal rate leaves about a fifth of `storm` messages of
// tier 2 per second: it is 20 percent at the threshold `storm`, and 5 percent at four times that threshold or above.
// The current rate is kept until the ideal rate differs by at least a fifth of the current rate. Sampling ends when the
// velocity has been below half the threshold for the time `calm`.
class RateControl {
 public:
  using Clock = std::chrono::steady_clock;

  // Returns the new rate in percent. `velocity` is in messages per second, `rate` is the rate in effect in percent.
  int next(const config::Settings::Sampling& settings, double velocity, int rate, Clock::time_point now);

 private:
  Clock::time_point calm_since_ = Clock::time_point::max();
};

}  // namespace sealcast::leader::sampling
