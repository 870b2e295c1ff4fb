// Reads the delivery modes of streams from Postgres, and looks up the transports of each mode in the settings.
#include "transport/outside/routing.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sealcast::transport::outside {

Routing::Routing(asio::any_io_executor executor, postgres::Pool& pool, const config::Settings::Delivery& settings)
    : pool_(pool),
      transports_{{"standard", settings.standard}, {"hybrid", settings.hybrid}, {"hot", settings.hot}},
      known_(is_trivial()),
      refresher_(executor, std::chrono::seconds(1), log::tag::kDelivery,
                 "delivery modes cannot be read; the last known modes stay in force", [this] { return refresh(); }) {}

bool Routing::is_trivial() const {
  return std::ranges::all_of(transports_, [](const auto& mode) { return mode.second.empty(); });
}

void Routing::start() {
  if (!is_trivial()) refresher_.start();
}

bool Routing::carries(std::string_view transport, const std::string& stream_id) const {
  // The transport `redis_events` carries every stream to the workers: the effects of a message must not depend on the
  // transports of its readers.
  if (transport == "redis_events") return true;
  const auto mode = modes_.find(stream_id);
  const auto& transports = transports_.at(mode == modes_.end() ? "standard" : mode->second);
  return transports.empty() || std::ranges::find(transports, transport) != transports.end();
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
