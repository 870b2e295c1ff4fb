// Sends health probes to all regions of the deployment, and sorts the regions for each caller: the nearest healthy
// region is first (docs/regions.md).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/asio.h"
#include "base/event.h"
#include "base/metrics.h"
#include "client/http/client.h"
#include "config/settings.h"
#include "regions/geoip.h"
#include "regions/order.h"

namespace sealcast::regions {

struct Offers {
  std::vector<Offer> regions;
  // The place of the caller. If it is nullopt, the distances are measured from the default region.
  std::optional<Location> located;
};

class Regions {
 public:
  // Throws std::runtime_error if the Geo-IP database cannot be used. `metrics` must stay valid as long as this object.
  Regions(asio::any_io_executor executor, Metrics& metrics, const config::Settings::Regions& settings);
  ~Regions();

  void start();
  void stop();

  // Returns the regions for a caller, in the best order. The pointers in the result are valid as long as this object.
  // The states that they point to change with each probe.
  Offers offers_for(const Address& caller) const;

 private:
  asio::awaitable<void> probe(std::size_t number);
  asio::awaitable<void> watch_database();

  asio::any_io_executor executor_;
  const std::chrono::milliseconds period_;
  GeoIp geoip_;
  std::vector<config::Region> regions_;
  std::vector<RegionState> states_;         // the state of regions_[i] is states_[i]
  std::vector<prometheus::Gauge*> gauges_;  // the metric of regions_[i] is gauges_[i]
  client::http::Client client_;
  config::Place fallback_{};
  Event stopped_;
};

}  // namespace sealcast::regions
