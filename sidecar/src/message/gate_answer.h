// The gate's answer to one check. Decodes it from the reply of Redis, and encodes it as a line of the gate socket.
#pragma once

#include <hiredis/hiredis.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace sealcast::message {

enum class GateOutcome {
  pass,         // within the rate, and the txn_id is new
  seen,         // within the rate, but the txn_id was seen: only Postgres knows whether the message was committed
  limited,      // over the rate; the txn_id is not marked as seen
  slowed,       // the sender's pause of the slow mode has not passed; the txn_id is not marked as seen
  repeated,     // the sender has sent the same text not long ago; the txn_id is not marked as seen
  copied,       // too many users have sent the same text
  unavailable,  // Redis is not connected, too slow, or returned an error: the message is refused
};
inline constexpr std::size_t kGateOutcomes = 7;
constexpr std::string_view to_string(GateOutcome outcome) noexcept {
  constexpr std::string_view kNames[kGateOutcomes] = {"pass",     "seen",   "limited",    "slowed",
                                                      "repeated", "copied", "unavailable"};
  return kNames[static_cast<std::size_t>(outcome)];
}

struct GateAnswer {
  GateOutcome outcome;
  int limit;      // GateRequest::limit, for the header RateLimit-Policy
  int remaining;  // pass, seen, limited: messages left in the current second, for the header RateLimit
  // limited: until the second ends; slowed: until the pause ends; repeated, copied: until the text may be sent again;
  // unavailable: a fixed pause
  std::chrono::milliseconds retry_after;
};

// Decodes a reply of one of the gate's scripts (redis_gate.cpp) into `answer`. The caller must have set answer.limit.
// If the script cannot have sent the reply, returns false and leaves `answer` unchanged.
bool read_answer(const redisReply& reply, GateAnswer& answer);

// Returns "pass\n", "seen\n", "limited 250 5\n", "slowed 12000\n", "repeated 12000\n", "copied 12000\n" or
// "unavailable 1000\n". The first number is retry_after in milliseconds, the second is the limit.
std::string to_line(const GateAnswer& answer);

}  // namespace sealcast::message
