// Whether a region answers, and how fast, from one probe to the next.
#pragma once

#include <chrono>
#include <optional>

namespace sealcast::regions {

class RegionHealth {
 public:
  using Milliseconds = std::chrono::duration<double, std::milli>;

  static constexpr int kTurns = 2;         // probes in a row that agree before the verdict changes
  static constexpr double kNewest = 0.25;  // its part in the average

  // What a probe found: how long a good answer took, or nullopt. True: the verdict has changed.
  bool note(std::optional<Milliseconds> round_trip);

  // A region that was not probed yet is healthy: else a sidecar that has just started would know none.
  bool healthy() const { return healthy_; }
  std::optional<Milliseconds> round_trip() const { return round_trip_; }  // a moving average; nullopt: none yet

 private:
  bool healthy_ = true;
  int against_ = 0;  // probes in a row that contradict the verdict
  std::optional<Milliseconds> round_trip_;
};

}  // namespace sealcast::regions
