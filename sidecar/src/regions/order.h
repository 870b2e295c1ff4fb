// Decides from health probes whether a region is healthy, and sorts the regions for a caller. Nothing here does I/O.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "config/region.h"

namespace sealcast::regions {

class RegionHealth {
 public:
  using Milliseconds = std::chrono::duration<double, std::milli>;

  // Records the result of one health probe: the round trip if the answer was good, or nullopt if the probe failed.
  // Returns true if healthy() has changed.
  bool record_probe(std::optional<Milliseconds> round_trip);

  // A region without probes is healthy. Otherwise a sidecar that has just started would have no region to offer.
  bool healthy() const { return healthy_; }
  // Returns the moving average of the round trips, or nullopt before the first good answer.
  std::optional<Milliseconds> round_trip() const { return round_trip_; }

 private:
  static constexpr int kProbesToChange = 2;  // consecutive probes that must contradict healthy() before it changes
  static constexpr double kNewest = 0.25;    // weight of the newest probe in the average

  bool healthy_ = true;
  int contradictions_ = 0;  // consecutive probes that contradict healthy()
  std::optional<Milliseconds> round_trip_;
};

// Returns the distance along the Earth's surface.
double distance_km(const config::Place& from, const config::Place& to);

struct RegionState {
  const config::Region& region;
  RegionHealth health;
};

struct Offer {
  const RegionState* state;
  double distance_km;
};

// Returns the healthy regions, or all regions if none is healthy, in this order: the nearest region is first. Among
// regions whose distances round to the same hundred kilometres, the region with the shortest round trip is first.
// Regions that are equal in both keep the order of `states`.
std::vector<Offer> order_regions(std::span<const RegionState> states, const config::Place& caller);

}  // namespace sealcast::regions
