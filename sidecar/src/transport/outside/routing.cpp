// Reads the delivery modes of streams from Postgres, and looks up the transports of each mode in the settings.
#include "transport/outside/routing.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sealcast::transport::outside {

namespace {

// The effects of a message must not depend on the transports of its readers, so the workers get every stream, and so
// does the operator's backend.
bool carries_all(std::string_view transport) { return transport == "redis_events" || transport == "webhooks"; }

bool keeps_messages(std::string_view transport) { return transport == "redis_streams"; }

}  // namespace

Routing::Routing(asio::any_io_executor executor, postgres::Pool& pool, const config::Settings::Delivery& settings)
    : pool_(pool),
      transports_{{"standard", settings.standard}, {"hybrid", settings.hybrid}, {"hot", settings.hot}},
      known_(is_trivial()),
      refresher_(executor, std::chrono::seconds(1), log::tag::kDelivery,
                 "delivery modes cannot be read; the last known modes stay in force, and without any, deliveries wait",
                 [this] { return refresh(); }) {}

bool Routing::is_trivial() const {
  return std::ranges::all_of(transports_, [](const auto& mode) { return mode.second.empty(); });
}

void Routing::start() {
  if (!is_trivial()) refresher_.start();
}

bool Routing::knows(std::string_view transport) const { return known_ || carries_all(transport); }

bool Routing::carries(std::string_view transport, const std::string& stream_id) const {
  if (carries_all(transport)) return true;
  const auto mode = modes_.find(stream_id);
  const auto& transports = transports_.at(mode == modes_.end() ? "standard" : mode->second);
  return transports.empty() || std::ranges::find(transports, transport) != transports.end();
}

bool Routing::carries(std::string_view transport, const Frame& frame) const {
  return carries(transport, frame.stream_id) || (frame.redaction != nullptr && keeps_messages(transport));
}

asio::awaitable<void> Routing::refresh() {
  if (is_trivial()) co_return;
  const postgres::Result rows =
      co_await pool_.query("select stream_id, delivery_mode from sealcast_internal.delivery_modes()");
  modes_.clear();
  for (int row = 0; row < rows.size(); ++row) modes_.emplace(rows.uuid(row, 0), rows.text(row, 1));
  known_ = true;
}

}  // namespace sealcast::transport::outside
