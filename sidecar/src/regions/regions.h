// The regions that serve the same streams: probes the health of each region, and orders the regions for a caller
// (docs/regions.md).
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
  std::optional<Location> located;  // nullopt: the distances are from the default region
};

class Regions {
 public:
  // Throws std::runtime_error when the Geo-IP database cannot be used.
  Regions(asio::any_io_executor executor, Metrics& metrics, const config::Settings::Regions& settings);
  ~Regions();

  void start();
  void stop();

  // The pointers in the result are valid as long as this. The states behind them change with each probe.
  Offers offers_for(const Address& caller) const;

 private:
  asio::awaitable<void> probe(std::size_t number);
  asio::awaitable<void> watch_database();

  asio::any_io_executor executor_;
  const std::chrono::milliseconds period_;
  GeoIp geoip_;
  std::vector<config::Region> regions_;
  std::vector<RegionState> states_;         // by number, like regions_
  std::vector<prometheus::Gauge*> gauges_;  // likewise
  client::http::Client client_;
  config::Place fallback_{};
  Event stopped_;
};

}  // namespace sealcast::regions
