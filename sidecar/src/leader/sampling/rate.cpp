// Thresholds, with hysteresis.
#include "leader/sampling/rate_control.h"

#include <algorithm>
#include <cmath>

namespace sealcast::leader::sampling {
namespace {

constexpr int kLowest = 5;
constexpr int kHighest = 20;
constexpr double kDeadBand = 0.2;

}  // namespace

int RateControl::next(const RateSettings& settings, double velocity, int rate, Clock::time_point now) {
  if (settings.storm <= 0) return kAllUsers;
  const bool sampled = rate < kAllUsers;
  if (!sampled && velocity < settings.storm) return kAllUsers;
  if (velocity >= settings.storm / 2) {
    calm_since_ = Clock::time_point::max();
  } else {
    calm_since_ = std::min(calm_since_, now);
    if (now - calm_since_ >= settings.calm) return kAllUsers;
  }
  const double wanted = kHighest * settings.storm / std::max(velocity, settings.storm);
  const int right = std::clamp(static_cast<int>(std::lround(wanted)), kLowest, kHighest);
  return sampled && std::abs(right - rate) < kDeadBand * rate ? rate : right;
}

}  // namespace sealcast::leader::sampling
