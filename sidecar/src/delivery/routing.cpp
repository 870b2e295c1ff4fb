// The table of modes, as Postgres has it.
#include "delivery/routing.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "log/log.h"

namespace sealcast {

Routing::Routing(asio::any_io_executor executor, pg::Pool& pool, const Settings::Delivery& settings)
    : executor_(executor),
      pool_(pool),
      transports_{{"standard", settings.standard}, {"hybrid", settings.hybrid}, {"hot", settings.hot}},
      timer_(executor) {}

bool Routing::is_trivial() const {
  return std::ranges::all_of(transports_, [](const auto& mode) { return mode.second.empty(); });
}

void Routing::start() {
  if (!is_trivial()) asio::co_spawn(executor_, run(), asio::detached);
}

void Routing::stop() {
  stopped_ = true;
  timer_.cancel();
}

bool Routing::carries(std::string_view transport, const std::string& stream_id) const {
  // Workers see every stream: what follows from a message does not depend on how it is shown.
  if (!known_ || transport == "redis_events") return true;
  const auto mode = modes_.find(stream_id);
  const auto& transports = transports_.at(mode == modes_.end() ? "standard" : mode->second);
  return transports.empty() || std::ranges::find(transports, transport) != transports.end();
}

asio::awaitable<void> Routing::run() {
  bool failing = false;
  while (!stopped_) {
    try {
      co_await refresh();
      failing = false;
    } catch (const pg::Error& error) {
      if (!std::exchange(failing, true)) {
        log::write(log::Level::warn, log::tag::kDelivery, "delivery modes cannot be read; the last ones stay in force",
                   {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
      }
    }
    timer_.expires_after(kRefresh);
    boost::system::error_code ignored;
    if (!stopped_) co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<void> Routing::refresh() {
  if (is_trivial()) co_return;
  const pg::Result rows = co_await pool_.query("select stream_id, delivery_mode from sealcast.delivery_modes()");
  modes_.clear();
  for (int row = 0; row < rows.size(); ++row) modes_.emplace(rows.uuid(row, 0), rows.text(row, 1));
  known_ = true;
}

}  // namespace sealcast
