// What the gate says of one message, and how Redis and the Unix socket put it.
#pragma once

#include <hiredis/hiredis.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace sealcast::message {

enum class GateOutcome {
  pass,         // within the rate, txn_id never seen
  seen,         // within the rate, txn_id seen: Postgres knows whether it was committed
  limited,      // over the rate; the txn_id is not spent
  unavailable,  // Redis away, late, or answering with an error: refuse
};
inline constexpr std::size_t kGateOutcomes = 4;
constexpr std::string_view to_string(GateOutcome outcome) noexcept {
  constexpr std::string_view kNames[kGateOutcomes] = {"pass", "seen", "limited", "unavailable"};
  return kNames[static_cast<std::size_t>(outcome)];
}

struct GateAnswer {
  GateOutcome outcome;
  int limit;                              // as asked, for RateLimit-Policy
  int remaining;                          // left in this window, for RateLimit
  std::chrono::milliseconds retry_after;  // when limited, until the window ends; when unavailable, a hint
};

// Takes what the gate's script answers (redis_gate.cpp) into an answer that has its limit. False, and nothing changed,
// when the script answers no such thing.
bool read_answer(const redisReply& reply, GateAnswer& answer);

// "pass\n", or "limited 250\n".
std::string to_line(const GateAnswer& answer);

}  // namespace sealcast::message
