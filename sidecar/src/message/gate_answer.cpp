// Decodes the number that the gate's Lua script returns, and encodes an answer as a line of the gate socket.
#include "message/gate_answer.h"

#include <algorithm>

namespace sealcast::message {

bool read_answer(const redisReply& reply, GateAnswer& answer) {
  if (reply.type != REDIS_REPLY_INTEGER || reply.integer < 0) return false;
  const long long number = reply.integer / 8;
  const auto outcome = static_cast<GateOutcome>(reply.integer % 8);
  if (outcome >= GateOutcome::unavailable) return false;
  answer.outcome = outcome;
  if (outcome == GateOutcome::pass || outcome == GateOutcome::seen) {
    answer.remaining = static_cast<int>(std::max<long long>(0, answer.limit - number));
  } else {
    answer.retry_after = std::chrono::milliseconds(number);
  }
  return true;
}

std::string to_line(const GateAnswer& answer) {
  std::string line(to_string(answer.outcome));
  if (answer.outcome != GateOutcome::pass && answer.outcome != GateOutcome::seen) {
    line += ' ' + std::to_string(answer.retry_after.count());
  }
  if (answer.outcome == GateOutcome::limited) line += ' ' + std::to_string(answer.limit);
  return line + '\n';
}

}  // namespace sealcast::message
