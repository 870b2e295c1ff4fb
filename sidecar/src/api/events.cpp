// GET /streams/{id}/events: checks a reader's request, then passes the connection to the hub of the channel.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <limits>
#include <memory>

#include "api/caller.h"
#include "api/database_failure.h"
#include "api/routes.h"
#include "api/stream_access.h"
#include "transport/sse/hub.h"

namespace sealcast::api {

namespace {

using transport::sse::Hub;

constexpr std::chrono::seconds kMaxWaitForRelay{5};  // how long a reader waits until the relay has a position

struct Events {
  Callers& callers;
  const message::Cells& cells;
  message::History& history;
  Hub& public_hub;
  Hub& vip_hub;

  asio::awaitable<void> answer(http::Exchange& exchange, std::string_view id) const;
};

asio::awaitable<void> Events::answer(http::Exchange& exchange, std::string_view id) const {
  http::Response& response = exchange.response;
  const http::Request& request = exchange.request;
  std::string stream_id = stream_of_path(id, cells, exchange);
  if (stream_id.empty()) co_return;
  std::string resume = request.last_event_id.empty() ? request.parameter("last_event_id") : request.last_event_id;
  std::optional<std::int64_t> after;
  if (!http::read_whole_number("Last-Event-ID", resume, 0, std::numeric_limits<std::int64_t>::max(), after, response)) {
    co_return;
  }
  const auto channel = channel_parameter(request, transport::Channel::everyone, response);
  if (!channel) co_return;
  auto caller = callers.reader(exchange, stream_id);
  if (!caller) co_return;
  const bool vip = *channel == transport::Channel::all_messages;
  Hub& hub = vip ? vip_hub : public_hub;
  if (hub.full()) {
    http::answer_problem(response,
                         {503, "overloaded", "too many readers", {}, "Retry after a pause.", std::chrono::seconds(1)});
    co_return;
  }
  // From the reservation on, the hub keeps all new frames. The reservation must precede the read of the last offset
  // from Postgres, so that the reader misses no frame (hub.h).
  Hub::Reservation reservation = hub.reserve(stream_id);
  if (!co_await hub.wait_for_position(Hub::Clock::now() + kMaxWaitForRelay)) {
    answer_database_unavailable(response);
    co_return;
  }
  auto stream = co_await readable_stream(exchange, caller->user_id, history.access(stream_id, caller->user_id));
  if (!stream) co_return;
  if (vip && !allows_vip(*stream, response)) co_return;
  bool ahead = after && *after > stream->last_offset;
  bool behind = after && *after < stream->first_offset - 1;
  std::int64_t start = behind ? stream->first_offset - 1 : !after || ahead ? stream->last_offset : *after;
  auto executor = co_await asio::this_coro::executor;
  Hub::Reader reader{.socket = asio::ip::tcp::socket(executor),
                     .head = {},
                     .chunked = request.version >= 11,
                     .after = start,
                     .last_offset = stream->last_offset,
                     .reset = ahead || behind};
  response.content_type = "text/event-stream";
  response.header("X-Accel-Buffering", "no");
  auto state = std::make_shared<std::pair<Hub::Reservation, Hub::Reader>>(std::move(reservation), std::move(reader));
  response.upgrade = [&hub, state](asio::ip::tcp::socket socket, std::string head) {
    auto executor = socket.get_executor();
    state->second.socket = std::move(socket);
    state->second.head = std::move(head);
    asio::co_spawn(executor, hub.subscribe(std::move(state->first), std::move(state->second)), asio::detached);
  };
}

}  // namespace

http::Handler events(Callers& callers, const message::Cells& cells, message::History& history, Hub& hub, Hub& vip_hub) {
  auto route = std::make_shared<const Events>(
      Events{.callers = callers, .cells = cells, .history = history, .public_hub = hub, .vip_hub = vip_hub});
  return [route](http::Exchange& exchange, std::string_view id) { return route->answer(exchange, id); };
}

}  // namespace sealcast::api
