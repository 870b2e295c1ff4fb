// GET /streams/{id}/events, GET /streams/{id}/messages.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "api/api.h"
#include "api/database_failure.h"
#include "base/asio.h"
#include "base/log.h"
#include "core/uuid.h"
#include "http/whole_number.h"

namespace sealcast::api {

namespace {

constexpr std::int64_t kDefaultLimit = 50;
constexpr std::int64_t kMaxLimit = 500;
constexpr std::size_t kMaxPageBytes = 1 << 20;  // it ends with the message that reaches this
constexpr std::chrono::seconds kUntilBegun{5};

constexpr std::int64_t kMaxOffset = std::numeric_limits<std::int64_t>::max();

// The rows that an answer has room for: the first ones, or, of who reads backwards, the last.
std::pair<int, int> part_of(const transport::FramePage& page, bool forwards) {
  std::size_t bytes = 0;
  int taken = 0;
  for (; taken < page.size() && bytes < kMaxPageBytes; ++taken) {
    bytes += page[forwards ? taken : page.size() - 1 - taken].envelope.size();
  }
  return forwards ? std::pair(0, taken) : std::pair(page.size() - taken, page.size());
}

}  // namespace

std::string Api::own_stream(http::Exchange& exchange, std::string_view id) {
  std::string normalized;
  if (!core::normalize_uuid(id, normalized)) {
    http::answer_problem(
        exchange.response,
        {400, "invalid_request", "the stream's id is no UUID", {}, "Write it as 8-4-4-4-12 hex digits."});
    return {};
  }
  return is_here(normalized, exchange) ? normalized : std::string();
}

std::optional<transport::Channel> Api::channel_of(const http::Request& request, transport::Channel otherwise,
                                                  http::Response& response) {
  const std::string name = request.parameter("channel");
  if (name.empty()) return otherwise;
  if (const auto channel = transport::channel_named(name)) return channel;
  http::answer_problem(response, {400, "invalid_request", "there is no such channel", "channel is public or vip"});
  return std::nullopt;
}

bool Api::allows_vip(const message::StreamAccess& stream, http::Response& response) {
  if (stream.vip) return true;
  http::answer_problem(response, {403,
                                  "role_required",
                                  "the vip channel is for users with a role in the stream",
                                  {},
                                  "Read the public channel, or have an owner give you a role."});
  return false;
}

asio::awaitable<void> Api::events(http::Exchange& exchange, std::string_view id) {
  http::Response& response = exchange.response;
  const http::Request& request = exchange.request;
  std::string stream_id = own_stream(exchange, id);
  if (stream_id.empty()) co_return;
  std::string resume = request.last_event_id.empty() ? request.parameter("last_event_id") : request.last_event_id;
  std::optional<std::int64_t> after;
  if (!http::read_number("Last-Event-ID", resume, 0, kMaxOffset, after, response)) co_return;
  const auto channel = channel_of(request, transport::Channel::everyone, response);
  if (!channel) co_return;
  auto who = reader(exchange, stream_id);
  if (!who) co_return;
  const bool vip = *channel == transport::Channel::all_messages;
  transport::sse::Hub& hub = vip ? parts_.vip_hub : parts_.hub;
  if (hub.full()) {
    http::answer_problem(response,
                         {503, "overloaded", "too many readers", {}, "Retry after a pause.", std::chrono::seconds(1)});
    co_return;
  }
  // Before Postgres is asked: see hub.h.
  transport::sse::Hub::Reservation reservation = hub.reserve(stream_id);
  if (!co_await hub.wait_for_position(transport::sse::Hub::Clock::now() + kUntilBegun)) {
    answer_database_unavailable(response);
    co_return;
  }
  auto stream = co_await access(exchange, who->user_id, parts_.history.access(stream_id, who->user_id));
  if (!stream) co_return;
  if (vip && !allows_vip(*stream, response)) co_return;
  bool ahead = after && *after > stream->last_offset;
  bool behind = after && *after < stream->first_offset - 1;
  std::int64_t start = behind ? stream->first_offset - 1 : !after || ahead ? stream->last_offset : *after;
  auto executor = co_await asio::this_coro::executor;
  transport::sse::Hub::Reader reader{.socket = asio::ip::tcp::socket(executor),
                                     .head = {},
                                     .chunked = request.version >= 11,
                                     .after = start,
                                     .last_offset = stream->last_offset,
                                     .reset = ahead || behind};
  response.content_type = "text/event-stream";
  response.header("X-Accel-Buffering", "no");
  auto state = std::make_shared<std::pair<transport::sse::Hub::Reservation, transport::sse::Hub::Reader>>(
      std::move(reservation), std::move(reader));
  response.upgrade = [&hub, state](asio::ip::tcp::socket socket, std::string head) {
    auto executor = socket.get_executor();
    state->second.socket = std::move(socket);
    state->second.head = std::move(head);
    asio::co_spawn(executor, hub.subscribe(std::move(state->first), std::move(state->second)), asio::detached);
  };
}

asio::awaitable<void> Api::messages(http::Exchange& exchange, std::string_view id) {
  http::Response& response = exchange.response;
  const http::Request& request = exchange.request;
  std::string stream_id = own_stream(exchange, id);
  if (stream_id.empty()) co_return;
  std::optional<std::int64_t> after, before, limit = kDefaultLimit;
  if (!http::read_number("after", request.parameter("after"), 0, kMaxOffset, after, response) ||
      !http::read_number("before", request.parameter("before"), 1, kMaxOffset, before, response) ||
      !http::read_number("limit", request.parameter("limit"), 1, kMaxLimit, limit, response)) {
    co_return;
  }
  const auto channel = channel_of(request, transport::Channel::all_messages, response);
  if (!channel) co_return;
  auto who = reader(exchange, stream_id);
  if (!who) co_return;
  auto stream = co_await access(exchange, who->user_id, parts_.history.access(stream_id, who->user_id));
  if (!stream) co_return;
  try {
    transport::FramePage page =
        co_await parts_.history.page(stream_id, after, before, static_cast<std::int32_t>(*limit), *channel);
    const auto [begin, end] = part_of(page, after.has_value());
    std::string body = "{\"messages\":[";
    for (int row = begin; row < end; ++row) {
      if (row > begin) body += ',';
      transport::FrameRow frame = page[row];
      transport::append_frame(frame.offset, frame.prev, frame.envelope, body);
    }
    body += "],\"first\":" + std::to_string(stream->first_offset) + ",\"last\":" + std::to_string(stream->last_offset);
    body += end - begin < page.size() ? R"(,"more":true})" : "}";
    http::answer_json(response, std::move(body));
  } catch (const postgres::Error& error) {
    log::write(log::Level::warn, log::tag::kDatabase, "cannot read a stream's history",
               {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
    answer_database_unavailable(response);
  }
}

}  // namespace sealcast::api
