// Which region a caller should take first: pure functions of where the caller is and how the regions fare.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/region.h"
#include "regions/health.h"

namespace sealcast::regions {

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

// The healthy regions, or all when none is. The nearest first; where the distances round to the same hundred
// kilometres, the one that answers the probes faster; then in the order given.
std::vector<Offer> order_regions(std::span<const RegionState> states, const config::Place& caller);

}  // namespace sealcast::regions
