// Verifies the credentials of requests. Answers 401 if they are invalid, or if a required session is missing.
#include "api/caller.h"

#include <boost/beast/core/string.hpp>
#include <ctime>

namespace sealcast::api {

void Callers::count_invalid(std::string_view credential) {
  ++invalid_;
  if (!log_throttle_.allows()) return;
  log::write(log::Level::warn, log::tag::kAuth, "credentials were refused",
             {{"last", credential}, {"count", invalid_}});
  invalid_ = 0;
}

std::optional<message::Session> Callers::session(http::Exchange& exchange) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view header = exchange.request.authorization;
  message::SessionResult result{std::nullopt, message::SessionProblem::missing};
  if (!header.empty()) {
    bool bearer = header.size() > kScheme.size() && boost::beast::iequals(header.substr(0, kScheme.size()), kScheme);
    result = bearer ? sessions_.verify(header.substr(kScheme.size()), std::time(nullptr))
                    : message::SessionResult{std::nullopt, message::SessionProblem::invalid};
  }
  if (result.session) return result.session;
  switch (result.problem) {
    case message::SessionProblem::missing:
      http::answer_problem(exchange.response,
                           {401, "unauthenticated", "the request has no session", "the header Authorization is missing",
                            "Send Authorization: Bearer with the JWT of the session."});
      break;
    case message::SessionProblem::expired:
      http::answer_problem(exchange.response, {401, "token_expired", "the session has expired", {}, "Sign in again."});
      break;
    case message::SessionProblem::invalid:
      count_invalid("an invalid session");
      http::answer_problem(
          exchange.response,
          {401, "unauthenticated", "the session is not valid",
           "the JWT is not signed by a configured key, or a required claim is missing or wrong", "Sign in again."});
      break;
  }
  return std::nullopt;
}

std::optional<message::Session> Callers::reader(http::Exchange& exchange, const std::string& stream_id) {
  if (!exchange.request.authorization.empty()) return session(exchange);
  std::string ticket = exchange.request.parameter("access_token");
  if (ticket.empty()) return message::Session{};
  if (auto found = tickets_.verify(ticket, stream_id, std::time(nullptr))) return found;
  count_invalid("an invalid access_token");
  http::answer_problem(exchange.response, {401, "unauthenticated", "the access_token is not valid for this stream",
                                           "it has expired, is for another stream, or has no signature of this server",
                                           "Get a new access_token from POST /streams/{id}/token."});
  return std::nullopt;
}

}  // namespace sealcast::api
