// The verdict's inertia, and the average.
#include "regions/health.h"

namespace sealcast::regions {

bool RegionHealth::note(std::optional<Milliseconds> round_trip) {
  if (round_trip) round_trip_ = round_trip_ ? *round_trip_ + kNewest * (*round_trip - *round_trip_) : *round_trip;
  against_ = round_trip.has_value() == healthy_ ? 0 : against_ + 1;
  if (against_ < kTurns) return false;
  against_ = 0;
  healthy_ = !healthy_;
  return true;
}

}  // namespace sealcast::regions
