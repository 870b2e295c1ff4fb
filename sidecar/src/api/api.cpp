// The table of routes, and who may ask.
#include "api/api.h"

#include <ctime>

#include "api/database_failure.h"
#include "base/log.h"

namespace sealcast::api {

http::Router Api::router() {
  auto plain = [this](Done (Api::*handler)(http::Exchange&)) -> http::Handler {
    return [this, handler](http::Exchange& exchange, std::string_view) { return (this->*handler)(exchange); };
  };
  auto of_stream = [this](Done (Api::*handler)(http::Exchange&, std::string_view)) -> http::Handler {
    return [this, handler](http::Exchange& exchange, std::string_view id) { return (this->*handler)(exchange, id); };
  };
  Metrics& seconds = parts_.metrics;
  std::vector<http::Route> routes{
      {http::Method::post, "/rpc/send_message", plain(&Api::send_message), &seconds.send_message_seconds},
      {http::Method::post, "/rpc/verify", plain(&Api::verify), &seconds.verify_seconds},
      {http::Method::get, "/streams/{id}/events", of_stream(&Api::events), nullptr, http::Route::takes_over},
      {http::Method::get, "/streams/{id}/messages", of_stream(&Api::messages), &seconds.history_seconds, http::Route::large},
      {http::Method::post, "/streams/{id}/token", of_stream(&Api::token), &seconds.other_seconds},
      {http::Method::post, "/streams/{id}/heartbeat", of_stream(&Api::heartbeat), &seconds.heartbeat_seconds},
      {http::Method::get, "/regions", plain(&Api::regions), &seconds.other_seconds},
      {http::Method::get, "/.well-known/sealcast-keys", plain(&Api::public_keys), &seconds.other_seconds},
      {http::Method::get, "/healthz", plain(&Api::health), nullptr},
      {http::Method::get, "/readyz", plain(&Api::readiness), nullptr},
      {http::Method::get, "/metrics", plain(&Api::metrics), nullptr},
      {http::Method::get, "/openapi.json", plain(&Api::openapi), &seconds.other_seconds},
  };
  // What sealcast.call_as() takes.
  for (std::string_view path :
       {"/rpc/mute", "/rpc/ban", "/rpc/unmute", "/rpc/unban", "/rpc/set_role", "/rpc/migrate_transport"}) {
    const std::string_view function = path.substr(path.rfind('/') + 1);
    http::Handler handler = [this, function](http::Exchange& exchange, std::string_view) {
      return call(exchange, function);
    };
    routes.push_back({http::Method::post, path, std::move(handler), &seconds.other_seconds});
  }
  return http::Router(std::move(routes), parts_.demo ? plain(&Api::demo) : http::Handler(), &seconds.other_seconds);
}

void Api::note_refused(std::string_view what) {
  ++refused_;
  std::int64_t now = std::time(nullptr);
  if (now == refused_logged_at_) return;
  log::write(log::Level::warn, log::tag::kAuth, "credentials were refused", {{"last", what}, {"count", refused_}});
  refused_ = 0;
  refused_logged_at_ = now;
}

std::optional<message::Session> Api::session(http::Exchange& exchange) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view header = exchange.request.authorization;
  message::SessionResult result{std::nullopt, message::SessionProblem::missing};
  if (!header.empty()) {
    bool bearer = header.size() > kScheme.size() && boost::beast::iequals(header.substr(0, kScheme.size()), kScheme);
    result = bearer ? parts_.sessions.verify(header.substr(kScheme.size()), std::time(nullptr))
                    : message::SessionResult{std::nullopt, message::SessionProblem::invalid};
  }
  if (result.session) return result.session;
  switch (result.problem) {
    case message::SessionProblem::missing:
      http::answer_problem(exchange.response, {401, "unauthenticated", "no session", "there is no Authorization header",
                                               "Send Authorization: Bearer with the session's JWT."});
      break;
    case message::SessionProblem::expired:
      http::answer_problem(exchange.response, {401, "token_expired", "the session has expired", {}, "Sign in again."});
      break;
    case message::SessionProblem::invalid:
      note_refused("an invalid session");
      http::answer_problem(
          exchange.response,
          {401, "unauthenticated", "the session is not valid",
           "the token is not signed by a configured key, or lacks what is required of it", "Sign in again."});
      break;
  }
  return std::nullopt;
}

std::optional<message::Session> Api::reader(http::Exchange& exchange, const std::string& stream_id) {
  if (!exchange.request.authorization.empty()) return session(exchange);
  std::string ticket = exchange.request.parameter("access_token");
  if (ticket.empty()) return message::Session{};
  if (auto found = parts_.tickets.verify(ticket, stream_id, std::time(nullptr))) return found;
  note_refused("an access_token that does not open the stream");
  http::answer_problem(exchange.response, {401, "unauthenticated", "this access_token does not open this stream",
                                           "it has expired, is for another stream, or was not issued here",
                                           "Get a new one from POST /streams/{id}/token."});
  return std::nullopt;
}

asio::awaitable<std::optional<message::StreamAccess>> Api::access(http::Exchange& exchange, const std::string& user_id,
                                                                  asio::awaitable<message::StreamAccess> asked,
                                                                  std::string_view way_in) {
  http::Response& response = exchange.response;
  message::StreamAccess found{};
  try {
    found = co_await std::move(asked);
  } catch (const postgres::Error& error) {
    answer_database_failure(error, "cannot look a stream up", response);
    co_return std::nullopt;
  }
  if (!found.found) {
    http::answer_problem(response, {404, "stream_not_found", "there is no such stream"});
  } else if (!found.readable && user_id.empty()) {
    http::answer_problem(response, {401, "unauthenticated", "this stream is private", {}, way_in});
  } else if (!found.readable) {
    http::answer_problem(response, {403, "role_required", "this stream is private and you have no role in it"});
  } else {
    co_return found;
  }
  co_return std::nullopt;
}

}  // namespace sealcast::api
