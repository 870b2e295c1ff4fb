// Verifies the credentials of requests. Answers 401 if they are invalid, or if a required session is missing.
#include "api/caller.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <ctime>

namespace sealcast::api {

namespace {

// Without a reason, the header Authorization had no Bearer token.
std::string_view bearer_reason(message::InvalidToken invalid) {
  return invalid == message::InvalidToken::none ? "the scheme is not Bearer" : message::reason_of(invalid);
}

}  // namespace

void Callers::count_invalid(std::string_view credential, std::string_view reason) {
  ++invalid_;
  if (!log_throttle_.allows()) return;
  log::write(log::Level::warn, log::tag::kAuth, "credentials were refused",
             {{"last", credential}, {"reason", reason}, {"count", invalid_}});
  invalid_ = 0;
}

std::optional<message::Session> Callers::session(http::Exchange& exchange) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view header = exchange.request.authorization;
  message::SessionResult result{std::nullopt, message::SessionProblem::missing};
  if (!header.empty()) {
    // One or more spaces follow the scheme (RFC 9110, 11.4).
    const std::size_t token = std::min(header.find_first_not_of(' ', kScheme.size()), header.size());
    const bool bearer = token < header.size() && boost::beast::iequals(header.substr(0, kScheme.size()), kScheme);
    result = bearer ? sessions_.verify(header.substr(token), std::time(nullptr))
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
      count_invalid("an invalid session", bearer_reason(result.invalid));
      http::answer_problem(exchange.response,
                           {401, "unauthenticated", "the session is not valid",
                            message::is_of_claims(result.invalid)
                                ? message::reason_of(result.invalid)
                                : "the JWT is not signed by a configured key; the log of sealcastd says why",
                            "Sign in again."});
      break;
  }
  return std::nullopt;
}

std::optional<message::Session> Callers::reader(http::Exchange& exchange, const std::string& stream_id) {
  if (!exchange.request.authorization.empty()) return session(exchange);
  std::string ticket = exchange.request.parameter("access_token");
  if (ticket.empty()) return message::Session{};
  if (auto found = tickets_.verify(ticket, stream_id, std::time(nullptr))) return found;
  count_invalid("an invalid access_token", "it has expired, is for another stream, or is not signed by this server");
  http::answer_problem(exchange.response, {401, "unauthenticated", "the access_token is not valid for this stream",
                                           "it has expired, is for another stream, or has no signature of this server",
                                           "Get a new access_token from POST /streams/{id}/token."});
  return std::nullopt;
}

}  // namespace sealcast::api
