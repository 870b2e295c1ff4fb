// Decodes the number that the gate's Lua script returns, and encodes an answer as a line of the gate socket.
#include "message/gate_answer.h"

#include <algorithm>

namespace sealcast::message {

bool read_answer(const redisReply& reply, GateAnswer& answer) {
  if (reply.type != REDIS_REPLY_INTEGER || reply.integer < 0) return false;
  const long long number = reply.integer / 4;
  const long long outcome = reply.integer % 4;
  if (outcome > 2) return false;
  answer.outcome = static_cast<GateOutcome>(outcome);
  if (answer.outcome == GateOutcome::limited) {
    answer.retry_after = std::chrono::milliseconds(number);
  } else {
    answer.remaining = static_cast<int>(std::max<long long>(0, answer.limit - number));
  }
  return true;
}

std::string to_line(const GateAnswer& answer) {
  std::string line(to_string(answer.outcome));
  if (answer.outcome == GateOutcome::limited || answer.outcome == GateOutcome::unavailable) {
    line += ' ' + std::to_string(answer.retry_after.count());
  }
  return line + '\n';
}

}  // namespace sealcast::message
