// The velocity of each stream, and the rate at which a stream of that velocity is sampled (docs/sampling.md).
// Neither class reads a clock or does I/O.
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

// Measures how many messages per second each stream has.
class Velocity {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kWindow{3};

  void count(std::span<const transport::FramePtr> frames, Clock::time_point now);

  // Returns messages per second by stream: the mean of the whole seconds in the window that ended before `now`.
  // Streams without messages in the window are left out.
  const std::unordered_map<std::string, double>& measure(Clock::time_point now);

 private:
  struct Seconds {
    std::array<std::uint32_t, kWindow.count()> counts{};  // of the last whole seconds
    std::uint32_t current = 0;
  };
  void advance_to(std::int64_t second);

  std::int64_t second_ = 0;
  std::unordered_map<std::string, Seconds> streams_;
  std::unordered_map<std::string, double> measured_;
};

inline constexpr int kAllUsers = 100;  // the rate of a stream that is not sampled

// Decides the rate of one stream, with hysteresis.
//
// A rate is 100, or 5 to 20 percent, so that about a fifth of `storm` messages per second of tier 2 are left: 20
// percent at the threshold, 5 percent at four times the threshold. The current rate is kept until the ideal rate
// differs by a fifth. Sampling ends after the time `calm` below half the threshold.
class RateControl {
 public:
  using Clock = std::chrono::steady_clock;

  // Returns the new rate. `velocity` is in messages per second, `rate` is the rate in effect.
  int next(const config::Settings::Sampling& settings, double velocity, int rate, Clock::time_point now);

 private:
  Clock::time_point calm_since_ = Clock::time_point::max();
};

}  // namespace sealcast::leader::sampling
