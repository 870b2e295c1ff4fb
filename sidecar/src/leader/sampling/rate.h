// From a room's velocity to the rate at which it is sampled (docs/sampling.md). Pure: no clock, no I/O.
#pragma once

#include <chrono>

namespace sealcast::leader::sampling {

inline constexpr int kAllUsers = 100;

struct RateSettings {
  double storm = 0;                  // messages a second from which a stream is sampled; 0: none ever is
  std::chrono::milliseconds calm{};  // how long it must stay below half of that to be sampled no more
};

// Rates are 100, or 5 to 20 percent, so that about a fifth of `storm` messages a second are left of tier 2: at the
// threshold 20, at four times as much 5. A rate under way is changed when the right one is a fifth higher or lower,
// and sampling ends after `calm` below half the threshold.
class RateControl {
 public:
  using Clock = std::chrono::steady_clock;

  // The rate for now. `velocity` in messages a second; `rate` is the one in effect.
  int next(const RateSettings& settings, double velocity, int rate, Clock::time_point now);

 private:
  Clock::time_point calm_since_ = Clock::time_point::max();
};

}  // namespace sealcast::leader::sampling
