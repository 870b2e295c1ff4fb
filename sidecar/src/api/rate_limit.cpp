// Adds the RateLimit headers to an answer, also to a successful one, so that clients can slow down before they get 429.
#include "api/rate_limit.h"

namespace sealcast::api {

bool within_rate(std::string_view policy, const message::GateAnswer& answer, http::Response& response) {
  if (answer.outcome == message::GateOutcome::unavailable) {
    http::answer_problem(response,
                         {503, "gate_unavailable", "the gate does not answer", "The message was not accepted.",
                          "Retry with the same txn_id.", answer.retry_after});
    return false;
  }
  std::string& out = response.headers;
  out += "RateLimit-Policy: \"";
  out += policy;
  out += "\";q=" + std::to_string(answer.limit) + ";w=1\r\nRateLimit: \"";  // a window of one second
  out += policy;
  out += "\";r=" + std::to_string(answer.remaining) + ";t=1\r\n";
  if (answer.outcome == message::GateOutcome::limited) {
    http::answer_problem(
        response,
        {429, "rate_limited", "too many messages", "The message was not accepted. Its txn_id is still unused.",
         "Wait " + std::to_string(answer.retry_after.count()) + " ms, then retry.", answer.retry_after});
    return false;
  }
  return true;
}

}  // namespace sealcast::api
