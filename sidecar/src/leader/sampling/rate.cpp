// Counts the messages of each stream per whole second, and decides sampling rates by thresholds with hysteresis.
#include "leader/sampling/rate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace sealcast::leader::sampling {
namespace {

constexpr int kLowest = 5;
constexpr int kHighest = 20;
constexpr double kDeadBand = 0.2;

std::int64_t second_of(Velocity::Clock::time_point now) {
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
}

}  // namespace

void Velocity::advance_to(std::int64_t second) {
  for (; second_ < second; ++second_) {
    if (streams_.empty()) second_ = second - 1;
    for (auto at = streams_.begin(); at != streams_.end();) {
      Seconds& stream = at->second;
      std::rotate(stream.counts.begin(), stream.counts.begin() + 1, stream.counts.end());
      stream.counts.back() = std::exchange(stream.current, 0);
      const bool idle = std::ranges::all_of(stream.counts, [](std::uint32_t count) { return count == 0; });
      at = idle ? streams_.erase(at) : std::next(at);
    }
  }
}

void Velocity::count(std::span<const transport::FramePtr> frames, Clock::time_point now) {
  advance_to(second_of(now));
  Seconds* stream = nullptr;
  const std::string* id = nullptr;
  for (const transport::FramePtr& frame : frames) {
    if (!id || *id != frame->stream_id) {
      id = &frame->stream_id;
      stream = &streams_[*id];
    }
    ++stream->current;
  }
}

const std::unordered_map<std::string, double>& Velocity::measure(Clock::time_point now) {
  advance_to(second_of(now));
  measured_.clear();
  for (const auto& [id, stream] : streams_) {
    const auto total = std::accumulate(stream.counts.begin(), stream.counts.end(), 0.0);
    if (total > 0) measured_[id] = total / static_cast<double>(stream.counts.size());
  }
  return measured_;
}

int RateControl::next(const config::Settings::Sampling& settings, double velocity, int rate, Clock::time_point now) {
  if (settings.storm <= 0) return kAllUsers;
  const double storm = settings.storm;
  const bool sampled = rate < kAllUsers;
  if (!sampled && velocity < storm) return kAllUsers;
  if (velocity >= storm / 2) {
    calm_since_ = Clock::time_point::max();
  } else {
    calm_since_ = std::min(calm_since_, now);
    if (now - calm_since_ >= settings.calm) return kAllUsers;
  }
  const double exact = kHighest * storm / std::max(velocity, storm);
  const int ideal = std::clamp(static_cast<int>(std::lround(exact)), kLowest, kHighest);
  return sampled && std::abs(ideal - rate) < kDeadBand * rate ? rate : ideal;
}

}  // namespace sealcast::leader::sampling
