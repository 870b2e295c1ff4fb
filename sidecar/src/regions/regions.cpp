// Sends health probes to each region in a loop, and returns the regions for a caller in the best order.
#include "regions/regions.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "base/log.h"

namespace sealcast::regions {
namespace {

using Clock = client::http::Client::Clock;

constexpr std::chrono::seconds kDeadline{
    3};  // of a probe; enough for a region on the other side of the Earth, with TLS
constexpr std::size_t kMaxAnswer = 64 * 1024;
constexpr long kConnections = 2;  // per region, so that a probe without an answer does not delay the next probe

}  // namespace

Regions::Regions(asio::any_io_executor executor, Metrics& metrics, const config::Settings::Regions& settings)
    : executor_(executor),
      period_(settings.probe),
      geoip_(settings.database_file),
      client_(executor, {.ca_file = settings.ca_file,
                         .max_connections = kConnections * static_cast<long>(settings.list.size()),
                         .max_response_bytes = kMaxAnswer}),
      stopped_(executor) {
  for (const std::string& item : settings.list) regions_.push_back(config::parse_region(item));
  for (const config::Region& region : regions_) {
    states_.push_back({region, {}});
    gauges_.push_back(&metrics.region_healthy(region.name));
    gauges_.back()->Set(1);
    if (region.name == settings.fallback) fallback_ = region.place;
  }
}

Regions::~Regions() { stop(); }

void Regions::start() {
  for (std::size_t number = 0; number < regions_.size(); ++number) {
    asio::co_spawn(executor_, probe(number), asio::detached);
  }
  if (!regions_.empty()) asio::co_spawn(executor_, watch_database(), asio::detached);
}

void Regions::stop() {
  stopped_.set();
  client_.stop();
}

Offers Regions::offers_for(const Address& caller) const {
  if (regions_.empty()) return {};
  auto located = geoip_.locate(caller);
  auto offers = order_regions(states_, located ? located->place : fallback_);
  return {std::move(offers), std::move(located)};
}

asio::awaitable<void> Regions::probe(std::size_t number) {
  const config::Region& region = regions_[number];
  while (!stopped_.is_set()) {
    const auto began = Clock::now();
    const client::http::Answer answer = co_await client_.get(region.url + "/readyz", began + kDeadline);
    if (stopped_.is_set()) break;
    const bool good = answer.status == 200;
    RegionHealth& health = states_[number].health;
    if (health.record_probe(good ? std::optional<RegionHealth::Milliseconds>(Clock::now() - began) : std::nullopt)) {
      gauges_[number]->Set(health.healthy() ? 1 : 0);
      const std::string reason = answer.status == 0 ? answer.failure : "HTTP " + std::to_string(answer.status);
      log::write(health.healthy() ? log::Level::info : log::Level::warn, log::tag::kRegions,
                 health.healthy() ? "a region is healthy again" : "a region is unhealthy",
                 {{"region", region.name}, {"last", reason}});
    }
    if (co_await stopped_.wait_for(period_)) break;
  }
}

// The loop condition tests is_set() instead of the result of wait_for(). With the result, GCC 12 puts the promise at a
// wrong place of the coroutine frame, and the coroutine crashes.
asio::awaitable<void> Regions::watch_database() {
  while (!stopped_.is_set()) {
    co_await stopped_.wait_for(period_);
    if (!stopped_.is_set()) geoip_.reload_if_changed();
  }
}

}  // namespace sealcast::regions
