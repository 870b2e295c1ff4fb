// The gate's answer to one check, its encoding in Redis and its line on the gate socket.
#pragma once

#include <hiredis/hiredis.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace sealcast::message {

enum class GateOutcome {
  pass,         // within the rate, and the txn_id is new
  seen,         // within the rate, and the txn_id was seen: Postgres knows whether it was committed
  limited,      // over the rate; the txn_id is not marked as seen
  unavailable,  // Redis is not connected, too slow, or returned an error: the message is refused
};
inline constexpr std::size_t kGateOutcomes = 4;
constexpr std::string_view to_string(GateOutcome outcome) noexcept {
  constexpr std::string_view kNames[kGateOutcomes] = {"pass", "seen", "limited", "unavailable"};
  return kNames[static_cast<std::size_t>(outcome)];
}

struct GateAnswer {
  GateOutcome outcome;
  int limit;                              // of the request, for RateLimit-Policy
  int remaining;                          // messages left in this window, for RateLimit
  std::chrono::milliseconds retry_after;  // limited: until the window ends; unavailable: a fixed pause
};

// Decodes a reply of the gate's script (redis_gate.cpp). The caller has set answer.limit. Returns false, and leaves
// `answer` unchanged, for a reply that the script never sends.
bool read_answer(const redisReply& reply, GateAnswer& answer);

// "pass\n", or "limited 250\n".
std::string to_line(const GateAnswer& answer);

}  // namespace sealcast::message
