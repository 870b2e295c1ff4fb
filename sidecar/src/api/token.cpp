// POST /streams/{id}/token: a ticket for the sidecar's own event streams, or a token for another transport.
#include <chrono>
#include <ctime>

#include "api/api.h"
#include "base/asio.h"

namespace sealcast::api {

namespace {

constexpr std::string_view kWayIn =
    "Send Authorization: Bearer, or the ticket of a transport_migrate that is less than a minute old.";

// Realtime looks at the project's own JWT (docs/tokens.md).
constexpr std::string_view kSupabase = "supabase";

}  // namespace

asio::awaitable<void> Api::token(http::Exchange& exchange, std::string_view id) {
  const std::string stream_id = own_stream(exchange, id);
  if (stream_id.empty()) co_return;
  if (exchange.request.body.empty()) {
    co_await ticket(exchange, stream_id);
  } else {
    co_await transport_token(exchange, stream_id);
  }
}

asio::awaitable<void> Api::ticket(http::Exchange& exchange, const std::string& stream_id) {
  auto who = session(exchange);
  if (!who) co_return;
  auto stream = co_await access(exchange, who->user_id, parts_.history.access(stream_id, who->user_id));
  if (!stream) co_return;
  std::string ticket = parts_.tickets.issue(stream_id, who->user_id, std::time(nullptr) + parts_.ticket_ttl.count());
  std::string body = "{\"access_token\":";
  http::append_json_string(ticket, body);
  http::answer_json(exchange.response, body + ",\"expires_in\":" + std::to_string(parts_.ticket_ttl.count()) + "}");
}

asio::awaitable<void> Api::transport_token(http::Exchange& exchange, const std::string& stream_id) {
  http::Response& response = exchange.response;
  TokenBody asked;
  if (!token_bodies_.parse(exchange.request.body, asked, response)) co_return;
  const auto maker = parts_.token_makers.find(asked.transport);
  if (maker == parts_.token_makers.end()) co_return answer_no_tokens(asked.transport, response);

  const bool has_session = !exchange.request.authorization.empty();
  const auto who = has_session ? session(exchange) : message::Session{};
  if (!who) co_return;
  const transport::Channel channel = asked.channel.value_or(transport::Channel::everyone);
  const bool vip = channel == transport::Channel::all_messages;
  // Whoever has a ticket without a session read the stream a moment ago; a session says for itself what it may.
  const bool invited = !has_session && !vip && !asked.ticket.empty() &&
                       parts_.tickets.verify_migration(asked.ticket, stream_id, asked.transport, std::time(nullptr));
  if (!invited) {
    // The cache does not tell whether somebody has a role in a stream that everybody may read.
    // Named for GCC 12: see CONTRIBUTING.md.
    auto found = vip ? parts_.history.access(stream_id, who->user_id) : parts_.readers.access(stream_id, who->user_id);
    auto stream = co_await access(exchange, who->user_id, std::move(found), kWayIn);
    if (!stream || (vip && !allows_vip(*stream, response))) co_return;
  }
  using namespace std::chrono;
  const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch());
  const auto made = maker->second->make({stream_id, channel, who->user_id, now.count(), parts_.transport_token_ttl});
  if (!made) {
    http::answer_problem(response, {400,
                                    "invalid_request",
                                    "this transport has no vip channel",
                                    {},
                                    "Ask for the public one, or read the vip channel by GET /streams/{id}/events."});
    co_return;
  }
  std::string body = "{\"transport\":";
  http::append_json_string(asked.transport, body);
  body += ",\"channel_id\":";
  http::append_json_string(made->channel_id, body);
  body += ",\"token\":" + made->token;
  if (!made->url.empty()) {
    body += ",\"url\":";
    http::append_json_string(made->url, body);
  }
  http::answer_json(response, body + ",\"expires_in\":" + std::to_string(parts_.transport_token_ttl.count()) + "}");
}

void Api::answer_no_tokens(std::string_view transport, http::Response& response) {
  std::string known;
  for (const auto& [name, maker] : parts_.token_makers) known += (known.empty() ? "" : ", ") + name;
  const std::string details = known.empty() ? "no transport gives tokens here" : "those that do: " + known;
  http::answer_problem(
      response,
      {400, "invalid_request", "there are no tokens for this transport", details,
       transport == kSupabase ? "Supabase Realtime takes the project's own JWT, by the policies on realtime.messages."
                              : "Connect without one where that transport lets you, or have its tokens set up."});
}

}  // namespace sealcast::api
