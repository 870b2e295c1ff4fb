// Reads the handlers of a group, and ends the series of handlers that are gone.
#include "events/group_handlers.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;

constexpr char kHandlers[] = "select name, t, batch_size, timeout_ms from sealcast_internal.handlers_of($1)";

}  // namespace

asio::awaitable<void> GroupHandlers::read(postgres::Connection& connection) {
  postgres::Params params;
  params.add(std::string_view(group_));
  const postgres::Result rows = co_await connection.query(kHandlers, params);
  EventHandlers handlers;
  for (int row = 0; row < rows.size(); ++row) {
    const std::string name(rows.text(row, 0));
    const std::string type(rows.text(row, 1));
    const auto batch = static_cast<std::size_t>(rows.integer(row, 2));
    const milliseconds timeout(rows.integer(row, 3));
    const auto same = std::ranges::find_if(handlers_, [&](const auto& known) {
      return known->name == name && known->type == type && known->batch_size == batch && known->timeout == timeout;
    });
    if (same != handlers_.end()) {
      handlers.push_back(*same);
      continue;
    }
    EventHandler handler{name, type, batch, timeout, series_of(name), metrics_.handler(name)};
    handlers.push_back(std::make_shared<const EventHandler>(std::move(handler)));
  }
  std::erase_if(series_, [](const auto& item) { return item.second.expired(); });
  handlers_ = std::move(handlers);
  if (handlers_.empty() && !std::exchange(warned_of_no_handlers_, true)) {
    log::write(log::Level::warn, log::tag::kWorker,
               "no handler is registered for this group; waiting for sealcast.register_handler()",
               {{"group", std::string_view(group_)}});
  }
  if (!handlers_.empty()) warned_of_no_handlers_ = false;
}

// The series of a handler end with its last user: a statement in flight may still count after the handler was removed.
std::shared_ptr<const void> GroupHandlers::series_of(const std::string& handler) {
  std::shared_ptr<const void> series = series_[handler].lock();
  if (series) return series;
  series.reset(this, [alive = std::weak_ptr(alive_), &metrics = metrics_, handler](const void*) {
    if (!alive.expired()) metrics.forget_handler(handler);
  });
  series_[handler] = series;
  return series;
}

milliseconds GroupHandlers::longest_timeout() const {
  milliseconds longest{0};
  for (const auto& handler : handlers_) longest = std::max(longest, handler->timeout);
  return longest;
}

}  // namespace sealcast::events
