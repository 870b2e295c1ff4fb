// Computes the health and the average round trip of a region, distances on the Earth, and the order of regions.
#include "regions/order.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <tuple>

namespace sealcast::regions {
namespace {

constexpr double kEarthRadiusKm = 6371.0088;  // mean radius of the Earth, by the IUGG
constexpr double kSameKm = 100;               // distances that round to the same multiple of 100 km count as equal

double radians(double degrees) { return degrees * std::numbers::pi / 180; }

}  // namespace

bool RegionHealth::record_probe(std::optional<Milliseconds> round_trip) {
  if (round_trip) round_trip_ = round_trip_ ? *round_trip_ + kNewest * (*round_trip - *round_trip_) : *round_trip;
  contradictions_ = round_trip.has_value() == healthy_ ? 0 : contradictions_ + 1;
  if (contradictions_ < kProbesToChange) return false;
  contradictions_ = 0;
  healthy_ = !healthy_;
  return true;
}

// Uses the haversine formula.
double distance_km(const config::Place& from, const config::Place& to) {
  const double north = std::sin(radians(to.latitude - from.latitude) / 2);
  const double east = std::sin(radians(to.longitude - from.longitude) / 2);
  const double square = north * north + std::cos(radians(from.latitude)) * std::cos(radians(to.latitude)) * east * east;
  return 2 * kEarthRadiusKm * std::asin(std::min(1.0, std::sqrt(square)));
}

std::vector<Offer> order_regions(std::span<const RegionState> states, const config::Place& caller) {
  const bool any = std::ranges::any_of(states, [](const RegionState& state) { return state.health.healthy(); });
  std::vector<Offer> offers;
  for (const RegionState& state : states) {
    if (state.health.healthy() || !any) offers.push_back({&state, distance_km(caller, state.region.place)});
  }
  const auto rank = [](const Offer& offer) {
    const auto round_trip = offer.state->health.round_trip();
    return std::tuple(std::round(offer.distance_km / kSameKm),
                      round_trip ? round_trip->count() : std::numeric_limits<double>::infinity());
  };
  std::ranges::stable_sort(offers, {}, rank);
  return offers;
}

}  // namespace sealcast::regions
