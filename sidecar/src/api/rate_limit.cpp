// Adds the RateLimit headers to an answer, also to a successful one, so that clients can slow down before they get 429.
#include "api/rate_limit.h"

#include "core/retry_headers.h"

namespace sealcast::api {

bool within_rate(std::string_view policy, const message::GateAnswer& answer, http::Response& response) {
  if (answer.outcome == message::GateOutcome::unavailable) {
    http::answer_problem(response,
                         {503, "gate_unavailable", "the gate does not answer", "The message was not accepted.",
                          "Retry with the same txn_id.", answer.retry_after});
    return false;
  }
  if (answer.outcome == message::GateOutcome::slowed) {
    http::answer_problem(response, {429, "slow_mode", "this stream is in slow mode",
                                    "The message was not accepted. Its txn_id is still unused.",
                                    "Wait, then retry with the same txn_id.", answer.retry_after});
    return false;
  }
  if (answer.outcome == message::GateOutcome::repeated) {
    http::answer_problem(response, {429, "text_repeated", "you have sent the same text to this stream not long ago",
                                    "The message was not accepted. Its txn_id is still unused.",
                                    "Send another text, or wait.", answer.retry_after});
    return false;
  }
  if (answer.outcome == message::GateOutcome::copied) {
    http::answer_problem(response,
                         {429, "text_copied", "too many users have sent the same text to this stream",
                          "The message was not accepted.", "Send another text, or wait.", answer.retry_after});
    return false;
  }
  response.header("RateLimit-Policy", core::HeaderValue::rate_limit_policy(policy, answer.limit).c_str());
  response.header("RateLimit", core::HeaderValue::rate_limit(policy, answer.remaining).c_str());
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
