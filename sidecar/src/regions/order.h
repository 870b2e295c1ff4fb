// The health of a region from its probes, and the order in which a caller gets the regions. Nothing here does I/O.
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

  // Records a probe: the time that a good answer took, or nullopt for a failure. Returns true when healthy() changed.
  bool record_probe(std::optional<Milliseconds> round_trip);

  // A region without probes is healthy. Otherwise a sidecar that has just started would have no region to offer.
  bool healthy() const { return healthy_; }
  std::optional<Milliseconds> round_trip() const { return round_trip_; }  // moving average; nullopt: no good answer yet

 private:
  static constexpr int kProbesToChange = 2;  // consecutive probes that must contradict healthy() before it changes
  static constexpr double kNewest = 0.25;    // weight of the newest probe in the average

  bool healthy_ = true;
  int contradictions_ = 0;  // consecutive probes that contradict healthy()
  std::optional<Milliseconds> round_trip_;
};

// Along the Earth's surface.
double distance_km(const config::Place& from, const config::Place& to);

struct RegionState {
  const config::Region& region;
  RegionHealth health;
};

struct Offer {
  const RegionState* state;
  double distance_km;
};

// Returns the healthy regions, or all regions when none is healthy. The nearest region is first. Among regions whose
// distances round to the same hundred kilometres, the region that answers its probes fastest is first. The last
// criterion is the order of `states`.
std::vector<Offer> order_regions(std::span<const RegionState> states, const config::Place& caller);

}  // namespace sealcast::regions
