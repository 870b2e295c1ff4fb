// The table of routes, and who may ask.
#include "api/api.h"

#include <ctime>

#include "api/database_failure.h"
#include "base/log.h"

namespace sealcast::rpc {

Router Api::router() {
  using beast::http::verb;
  auto plain = [this](Done (Api::*handler)(Exchange&)) -> Handler {
    return [this, handler](Exchange& exchange, std::string_view) { return (this->*handler)(exchange); };
  };
  auto of_stream = [this](Done (Api::*handler)(Exchange&, std::string_view)) -> Handler {
    return [this, handler](Exchange& exchange, std::string_view id) { return (this->*handler)(exchange, id); };
  };
  Metrics& seconds = parts_.metrics;
  std::vector<Route> routes{
      {verb::post, "/rpc/send_message", plain(&Api::send_message), &seconds.send_message_seconds},
      {verb::post, "/rpc/verify", plain(&Api::verify), &seconds.verify_seconds},
      {verb::get, "/streams/{id}/events", of_stream(&Api::events), nullptr, Route::takes_over},
      {verb::get, "/streams/{id}/messages", of_stream(&Api::messages), &seconds.history_seconds, Route::large},
      {verb::post, "/streams/{id}/token", of_stream(&Api::token), &seconds.other_seconds},
      {verb::post, "/streams/{id}/heartbeat", of_stream(&Api::heartbeat), &seconds.heartbeat_seconds},
      {verb::get, "/regions", plain(&Api::regions), &seconds.other_seconds},
      {verb::get, "/.well-known/sealcast-keys", plain(&Api::public_keys), &seconds.other_seconds},
      {verb::get, "/healthz", plain(&Api::health), nullptr},
      {verb::get, "/readyz", plain(&Api::readiness), nullptr},
      {verb::get, "/metrics", plain(&Api::metrics), nullptr},
      {verb::get, "/openapi.json", plain(&Api::openapi), &seconds.other_seconds},
  };
  // What sealcast.call_as() takes.
  for (std::string_view path :
       {"/rpc/mute", "/rpc/ban", "/rpc/unmute", "/rpc/unban", "/rpc/set_role", "/rpc/migrate_transport"}) {
    const std::string_view function = path.substr(path.rfind('/') + 1);
    Handler handler = [this, function](Exchange& exchange, std::string_view) { return call(exchange, function); };
    routes.push_back({verb::post, path, std::move(handler), &seconds.other_seconds});
  }
  return Router(std::move(routes), parts_.demo ? plain(&Api::demo) : Handler(), &seconds.other_seconds);
}

void Api::note_refused(std::string_view what) {
  ++refused_;
  std::int64_t now = std::time(nullptr);
  if (now == refused_logged_at_) return;
  log::write(log::Level::warn, log::tag::kAuth, "credentials were refused", {{"last", what}, {"count", refused_}});
  refused_ = 0;
  refused_logged_at_ = now;
}

std::optional<Session> Api::session(Exchange& exchange) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view header = exchange.request.authorization;
  SessionResult result{std::nullopt, SessionProblem::missing};
  if (!header.empty()) {
    bool bearer = header.size() > kScheme.size() && boost::beast::iequals(header.substr(0, kScheme.size()), kScheme);
    result = bearer ? parts_.sessions.verify(header.substr(kScheme.size()), std::time(nullptr))
                    : SessionResult{std::nullopt, SessionProblem::invalid};
  }
  if (result.session) return result.session;
  switch (result.problem) {
    case SessionProblem::missing:
      answer_problem(exchange.response, {401, "unauthenticated", "no session", "there is no Authorization header",
                                         "Send Authorization: Bearer with the session's JWT."});
      break;
    case SessionProblem::expired:
      answer_problem(exchange.response, {401, "token_expired", "the session has expired", {}, "Sign in again."});
      break;
    case SessionProblem::invalid:
      note_refused("an invalid session");
      answer_problem(exchange.response, {401, "unauthenticated", "the session is not valid",
                                         "the token is not signed by a configured key, or lacks what is required of it",
                                         "Sign in again."});
      break;
  }
  return std::nullopt;
}

std::optional<Session> Api::reader(Exchange& exchange, const std::string& stream_id) {
  if (!exchange.request.authorization.empty()) return session(exchange);
  std::string ticket = exchange.request.parameter("access_token");
  if (ticket.empty()) return Session{};
  if (auto found = parts_.tickets.verify(ticket, stream_id, std::time(nullptr))) return found;
  note_refused("an access_token that does not open the stream");
  answer_problem(exchange.response, {401, "unauthenticated", "this access_token does not open this stream",
                                     "it has expired, is for another stream, or was not issued here",
                                     "Get a new one from POST /streams/{id}/token."});
  return std::nullopt;
}

asio::awaitable<std::optional<StreamAccess>> Api::access(Exchange& exchange, const std::string& user_id,
                                                         asio::awaitable<StreamAccess> asked, std::string_view way_in) {
  Response& response = exchange.response;
  StreamAccess found{};
  try {
    found = co_await std::move(asked);
  } catch (const pg::Error& error) {
    answer_database_failure(error, "cannot look a stream up", response);
    co_return std::nullopt;
  }
  if (!found.found) {
    answer_problem(response, {404, "stream_not_found", "there is no such stream"});
  } else if (!found.readable && user_id.empty()) {
    answer_problem(response, {401, "unauthenticated", "this stream is private", {}, way_in});
  } else if (!found.readable) {
    answer_problem(response, {403, "role_required", "this stream is private and you have no role in it"});
  } else {
    co_return found;
  }
  co_return std::nullopt;
}

}  // namespace sealcast::rpc
