// Applies the rules of an outside service to its HTTP answer, and writes the reason of a failure.
#include "transport/outside/http_outcome.h"

#include <algorithm>

namespace sealcast::transport::outside {

Outcome http_outcome(const client::http::Answer& answer, const HttpService& service) {
  if (answer.status == 0) return {.kind = Outcome::Kind::retry_transport, .reason = answer.failure};
  Outcome outcome{.kind = Outcome::Kind::done, .after = answer.retry_after, .reason = {}};
  if (std::ranges::find(service.success, answer.status) != service.success.end()) return outcome;

  const HttpError error = service.read_error(answer);
  const auto rule = std::ranges::find_if(service.rules, [&](const HttpRule& candidate) {
    return (candidate.status == 0 || candidate.status == answer.status) &&
           (candidate.code.empty() || candidate.code == error.code) && error.message.starts_with(candidate.message) &&
           error.message.find(candidate.part) != error.message.npos;
  });
  outcome.kind = rule == service.rules.end() ? Outcome::Kind::retry_transport : rule->kind;

  outcome.reason = "the service answered " + std::to_string(answer.status);
  if (!error.code.empty()) outcome.reason += " (" + error.code + ")";
  if (!error.message.empty()) outcome.reason += ": " + error.message;
  const auto hint = std::ranges::find_if(service.hints, [&](const HttpHint& candidate) {
    return candidate.status == answer.status && error.message.starts_with(candidate.message);
  });
  if (hint != service.hints.end()) outcome.reason.append("; ").append(hint->text);
  return outcome;
}

}  // namespace sealcast::transport::outside
