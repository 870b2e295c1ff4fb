// The regions that serve the same streams: probes each of them, and orders them for a caller (docs/regions.md).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/asio.h"
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
  // Throws std::runtime_error when the database cannot be used.
  Regions(asio::any_io_executor executor, Metrics& metrics, const config::Settings::Regions& settings);
  ~Regions();

  void start();
  void stop();

  // What the pointers lead to lives as long as the Regions, and changes with the next probes.
  Offers offers_for(const Address& caller) const;

 private:
  asio::awaitable<void> probe(std::size_t number);
  asio::awaitable<void> watch_database();
  asio::awaitable<void> pause(asio::steady_timer& timer);

  asio::any_io_executor executor_;
  const std::chrono::milliseconds every_;
  GeoIp geoip_;
  std::vector<config::Region> regions_;
  std::vector<RegionState> states_;  // of regions_, likewise the next two
  std::vector<prometheus::Gauge*> gauges_;
  std::vector<std::unique_ptr<asio::steady_timer>> timers_;
  asio::steady_timer database_timer_;
  client::http::Client client_;
  config::Place fallback_{};
  bool stopping_ = false;
};

}  // namespace sealcast::regions
