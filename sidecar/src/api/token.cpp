// POST /streams/{id}/token: issues a ticket for our own event streams, or a reader token for another transport.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>

#include "api/caller.h"
#include "api/routes.h"
#include "api/stream_access.h"
#include "api/token_body.h"
#include "base/backoff.h"
#include "base/json.h"
#include "message/access_cache.h"
#include "message/ticket.h"

namespace sealcast::api {

namespace {

constexpr std::string_view kHowToGetToken = "Send Authorization: Bearer.";

// Supabase Realtime accepts the project's own JWT instead of a reader token (docs/tokens.md).
constexpr std::string_view kSupabase = "supabase";

// Readers who were sent to a transport together get their tokens at the same time. Where a connection ends with its
// token, they would all come back in the same second.
std::chrono::seconds spread(std::chrono::seconds life) {
  return std::chrono::ceil<std::chrono::seconds>(random_between(life * 3 / 4, life));
}

struct Token {
  Callers& callers;
  const message::Cells& cells;
  message::History& history;
  message::AccessCache& access_cache;
  const message::TicketIssuer& tickets;
  const transport::TokenMakers& makers;
  TokenLifetimes lifetimes;
  TokenBodyParser bodies{};

  asio::awaitable<void> answer(http::Exchange& exchange, std::string_view id);
  asio::awaitable<void> answer_ticket(http::Exchange& exchange, const std::string& stream_id) const;
  asio::awaitable<void> answer_transport_token(http::Exchange& exchange, const std::string& stream_id);
  asio::awaitable<message::StreamAccess> access(const std::string& stream_id, const std::string& user_id,
                                                transport::Channel channel, bool& restricted);
  void answer_no_tokens(std::string_view transport, http::Response& response) const;
};

asio::awaitable<void> Token::answer(http::Exchange& exchange, std::string_view id) {
  const std::string stream_id = stream_of_path(id, cells, exchange);
  if (stream_id.empty()) co_return;
  if (exchange.request.body.empty()) {
    co_await answer_ticket(exchange, stream_id);
  } else {
    co_await answer_transport_token(exchange, stream_id);
  }
}

asio::awaitable<void> Token::answer_ticket(http::Exchange& exchange, const std::string& stream_id) const {
  auto session = callers.session(exchange);
  if (!session) co_return;
  auto stream = co_await readable_stream(exchange, session->user_id, history.access(stream_id, session->user_id));
  if (!stream) co_return;
  const std::int64_t now = std::time(nullptr);
  const std::int64_t seconds = std::clamp<std::int64_t>(session->expires_at - now, 1, lifetimes.ticket.count());
  std::string body;
  JsonObject(body)
      .text("access_token", tickets.issue(stream_id, *session, now + seconds))
      .number("expires_in", seconds)
      .end();
  http::answer_json(exchange.response, std::move(body));
}

asio::awaitable<void> Token::answer_transport_token(http::Exchange& exchange, const std::string& stream_id) {
  http::Response& response = exchange.response;
  TokenBody request;
  if (!bodies.parse(exchange.request.body, request, response)) co_return;
  const auto found = makers.find(request.transport);
  if (found == makers.end()) co_return answer_no_tokens(request.transport, response);
  const std::shared_ptr<const transport::TokenMaker> maker = found->second;

  const bool has_session = !exchange.request.authorization.empty();
  const auto caller = has_session ? callers.session(exchange) : message::Session{};
  if (!caller) co_return;
  const transport::Channel channel = request.channel.value_or(transport::Channel::everyone);
  const bool vip = channel == transport::Channel::all_messages;
  // `lookup` is a named variable, because GCC 12 destroys a temporary inside a co_await expression twice
  // (CONTRIBUTING.md).
  bool restricted = true;
  auto lookup = access(stream_id, caller->user_id, channel, restricted);
  auto stream = co_await readable_stream(exchange, caller->user_id, std::move(lookup), kHowToGetToken);
  if (!stream || (vip && !allows_vip(*stream, response))) co_return;
  using namespace std::chrono;
  const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch());
  const seconds life = restricted ? spread(lifetimes.transport_token) : lifetimes.transport_token;
  const auto made = maker->make({stream_id, channel, caller->user_id, now.count(), life, restricted});
  if (!made) {
    http::answer_problem(
        response, {400,
                   "invalid_request",
                   "this transport has no vip channel",
                   {},
                   "Request a token for the public channel, or read the vip channel by GET /streams/{id}/events."});
    co_return;
  }
  std::string body;
  JsonObject object(body);
  object.text("transport", request.transport).text("channel_id", made->channel_id).json("token", made->token);
  if (!made->url.empty()) object.text("url", made->url);
  object.number("expires_in", std::int64_t{life.count()}).end();
  http::answer_json(response, std::move(body));
}

// A public stream can have very many readers, so a cached answer serves them all. The rights of a user are never
// cached, so that a user who is banned or has lost the role gets no token any more. Sets `restricted` to false if
// everybody may read the channel.
asio::awaitable<message::StreamAccess> Token::access(const std::string& stream_id, const std::string& user_id,
                                                     transport::Channel channel, bool& restricted) {
  if (channel == transport::Channel::everyone) {
    const message::StreamAccess everybody = co_await access_cache.access(stream_id, {});
    restricted = !everybody.readable;
    if (everybody.readable || !everybody.found || user_id.empty()) co_return everybody;
  }
  co_return co_await history.access(stream_id, user_id);
}

void Token::answer_no_tokens(std::string_view transport, http::Response& response) const {
  std::string known;
  for (const auto& [name, maker] : makers) known += (known.empty() ? "" : ", ") + name;
  const std::string details =
      known.empty() ? "this server issues tokens for no transport" : "this server issues tokens for: " + known;
  http::answer_problem(
      response,
      {400, "invalid_request", "there are no tokens for this transport", details,
       transport == kSupabase
           ? "Connect to Supabase Realtime with the project's own JWT; policies on realtime.messages check it."
           : "Connect without a token if the transport allows it, or configure tokens for the transport."});
}

}  // namespace

http::Handler token(Callers& callers, const message::Cells& cells, message::History& history,
                    message::AccessCache& access_cache, const message::TicketIssuer& tickets,
                    const transport::TokenMakers& makers, TokenLifetimes lifetimes) {
  auto route = std::make_shared<Token>(Token{.callers = callers,
                                             .cells = cells,
                                             .history = history,
                                             .access_cache = access_cache,
                                             .tickets = tickets,
                                             .makers = makers,
                                             .lifetimes = lifetimes});
  return [route](http::Exchange& exchange, std::string_view id) { return route->answer(exchange, id); };
}

}  // namespace sealcast::api
