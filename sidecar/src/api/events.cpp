// GET /streams/{id}/events: checks a reader's request, then passes the connection to the hub of the channel.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "api/caller.h"
#include "api/database_failure.h"
#include "api/resume_point.h"
#include "api/routes.h"
#include "api/stream_access.h"
#include "base/backoff.h"
#include "base/event.h"
#include "message/stream_states.h"
#include "transport/sse/hub.h"
#include "transport/sse/notices.h"

namespace sealcast::api {

namespace {

using transport::sse::Hub;

// How long a request waits for a sidecar that has just started, or for a Postgres that is away for a moment: an answer
// 503 would end a browser's EventSource for good. Proxies, and our client library (15 s), wait longer than this.
constexpr std::chrono::seconds kMaxWait{10};
// Random, so that waiting readers do not all ask Postgres at the same moment.
constexpr std::chrono::milliseconds kMinPause{100};
constexpr std::chrono::milliseconds kMaxPause{300};

struct Events {
  Callers& callers;
  const message::Cells& cells;
  message::History& history;
  message::StreamStates& states;
  Hub& public_hub;
  Hub& vip_hub;

  asio::awaitable<void> answer(http::Exchange& exchange, std::string_view id) const;

 private:
  asio::awaitable<void> wait_for_cells(Hub::Clock::time_point deadline) const;
  asio::awaitable<message::StreamAccess> access(const std::string& stream_id, const std::string& user_id,
                                                const Hub& hub, Hub::Clock::time_point deadline) const;
  asio::awaitable<message::StreamStates::Current> state(const std::string& stream_id,
                                                        const message::StreamAccess& stream, const Hub& hub,
                                                        Hub::Clock::time_point deadline) const;
  asio::awaitable<void> append_notices(const std::string& stream_id, const std::string& user_id,
                                       std::string& out) const;
  asio::awaitable<bool> is_clean(const Hub& hub, const Hub::Reservation& reservation, const std::string& stream_id,
                                 const message::StreamAccess& stream, std::int64_t start) const;
};

// Returns where the reader goes on: the header, which a browser sends when it connects again, before the parameters.
// Text that is no resume point counts as one of another log: an answer 400 would end a browser's EventSource for good.
std::optional<ResumePoint> event_resume_point(const http::Request& request) {
  std::string text = request.last_event_id;
  for (const std::string_view name : {"last_event_id", "lastEventId"}) {
    if (text.empty()) text = request.parameter(name);
  }
  if (text.empty()) return std::nullopt;
  const auto point = parse_resume_point(text);
  return point ? point : ResumePoint::of_no_log();
}

// Without an id, so that the event does not become a resume point.
void append_retained_event(const message::RetainedMessage& message, transport::Channel channel, std::string& out) {
  out += "data: ";
  message::append_retained_frame(message, channel, out);
  out += "\n\n";
}

// The hub does not count a reader that waits here, but http.max_connections does.
asio::awaitable<void> Events::wait_for_cells(Hub::Clock::time_point deadline) const {
  while (!cells.loaded() && !public_hub.waits_ended() && Hub::Clock::now() < deadline) {
    co_await sleep_for(random_between(kMinPause, kMaxPause));
  }
}

// Repeats the look-up until `deadline` while Postgres does not answer, or while the hub has another log: then the
// database was just restored, and the relay has not noticed it yet. Throws postgres::Error.
asio::awaitable<message::StreamAccess> Events::access(const std::string& stream_id, const std::string& user_id,
                                                      const Hub& hub, Hub::Clock::time_point deadline) const {
  const auto may_repeat = [&] { return !hub.waits_ended() && Hub::Clock::now() < deadline; };
  while (true) {
    try {
      message::StreamAccess stream = co_await history.access(stream_id, user_id);
      if (!stream.found || stream.log_epoch == hub.log_epoch() || !may_repeat()) co_return stream;
    } catch (const postgres::Error& error) {
      if (!error.transient() || !may_repeat()) throw;
    }
    co_await sleep_for(random_between(kMinPause, kMaxPause));
  }
}

// The same for the retained messages, while they are of another log than `stream`.
asio::awaitable<message::StreamStates::Current> Events::state(const std::string& stream_id,
                                                              const message::StreamAccess& stream, const Hub& hub,
                                                              Hub::Clock::time_point deadline) const {
  const auto may_repeat = [&] { return !hub.waits_ended() && Hub::Clock::now() < deadline; };
  while (true) {
    try {
      message::StreamStates::Current current = co_await states.read(stream_id, stream.newest_redaction);
      if (current.state->log_epoch == stream.log_epoch || !may_repeat()) co_return current;
    } catch (const postgres::Error& error) {
      if (!error.transient() || !may_repeat()) throw;
    }
    co_await sleep_for(random_between(kMinPause, kMaxPause));
  }
}

// Returns whether a reader that goes on after `start` may get frames from the hub's ring: see Hub::is_clean(). Looks up
// the announcement of a redaction that the hub does not know, if the reader needs older frames.
asio::awaitable<bool> Events::is_clean(const Hub& hub, const Hub::Reservation& reservation,
                                       const std::string& stream_id, const message::StreamAccess& stream,
                                       std::int64_t start) const {
  if (hub.is_clean(reservation, stream.newest_redaction)) co_return true;
  if (start >= stream.last_offset || !hub.may_check_redaction(reservation)) co_return false;
  try {
    const std::int64_t announced_at = co_await history.redacted_offset(stream_id);
    co_return hub.note_redaction(reservation, stream.newest_redaction, announced_at);
  } catch (const postgres::Error&) {
    co_return false;
  }
}

// A reader without its notices reads on: a refused message will tell it of a restriction. So a failure is not answered.
asio::awaitable<void> Events::append_notices(const std::string& stream_id, const std::string& user_id,
                                             std::string& out) const {
  try {
    const std::vector<std::string> envelopes = co_await history.notices(stream_id, user_id);
    for (const std::string& envelope : envelopes) transport::sse::append_notice(envelope, out);
  } catch (const postgres::Error&) {
  }
}

asio::awaitable<void> Events::answer(http::Exchange& exchange, std::string_view id) const {
  http::Response& response = exchange.response;
  const http::Request& request = exchange.request;
  const auto deadline = request.received + kMaxWait;
  co_await wait_for_cells(deadline);
  std::string stream_id = stream_of_path(id, cells, exchange);
  if (stream_id.empty()) co_return;
  const std::optional<ResumePoint> after = event_resume_point(request);
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
  Hub::Reservation reservation = hub.reserve(stream_id, caller->user_id);
  if (!co_await hub.wait_for_position(deadline)) {
    answer_database_unavailable(response);
    co_return;
  }
  auto stream = co_await readable_stream(exchange, caller->user_id, access(stream_id, caller->user_id, hub, deadline));
  if (!stream) co_return;
  if (vip && !allows_vip(*stream, response)) co_return;
  if (stream->log_epoch != hub.log_epoch()) {
    answer_database_unavailable(response);
    co_return;
  }
  const bool foreign = after && after->is_foreign_to(stream->log_epoch);
  const bool ahead = after && after->offset > stream->last_offset;
  const bool behind = foreign || (after && after->offset < stream->first_offset - 1);
  const std::int64_t start = behind ? stream->first_offset - 1 : !after || ahead ? stream->last_offset : after->offset;
  // A reader without a resume point begins with the state of the stream, and goes on where that ends. From there on the
  // ring gets every frame.
  const bool from_state = !after || (ahead && !behind);
  std::int64_t begin = start;
  std::string retained;
  if (from_state) {
    try {
      const message::StreamStates::Current current = co_await state(stream_id, *stream, hub, deadline);
      if (current.state->log_epoch != stream->log_epoch) {
        answer_database_unavailable(response);
        co_return;
      }
      for (const message::RetainedMessage& message : current.state->messages) {
        append_retained_event(message, *channel, retained);
      }
      begin = current.as_of;
    } catch (const postgres::Error& error) {
      answer_database_failure(error, "cannot read the state of a stream", response);
      co_return;
    }
  }
  if (stream->noticed) co_await append_notices(stream_id, caller->user_id, retained);
  const bool clean = co_await is_clean(hub, reservation, stream_id, *stream, begin);
  auto executor = co_await asio::this_coro::executor;
  Hub::Reader reader{.identity = {caller->user_id, caller->expires_at + message::kLeewaySeconds},
                     .socket = asio::ip::tcp::socket(executor),
                     .head = {},
                     .chunked = request.version >= 11,
                     .after = begin,
                     .last_offset = from_state && clean ? begin : stream->last_offset,
                     .log_epoch = stream->log_epoch,
                     .reset = ahead || behind,
                     .retained = std::move(retained),
                     .ring_from = clean ? 0 : stream->last_offset};
  response.content_type = "text/event-stream";
  // A proxy that compresses would keep frames back.
  response.cache_control = "no-store, no-transform";
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

http::Handler events(Callers& callers, const message::Cells& cells, message::History& history,
                     message::StreamStates& states, Hub& hub, Hub& vip_hub) {
  auto route = std::make_shared<const Events>(Events{
      .callers = callers, .cells = cells, .history = history, .states = states, .public_hub = hub, .vip_hub = vip_hub});
  return [route](http::Exchange& exchange, std::string_view id) { return route->answer(exchange, id); };
}

}  // namespace sealcast::api
