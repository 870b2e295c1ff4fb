// The gate (docs/architecture.md): one Lua script in Redis decides, before Postgres is asked, whether a sender is
// within its rate and whether a txn_id was seen. Fails closed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace sealcast {

namespace asio = boost::asio;

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

// The bucket that all types share which do not exist; no type can have this name.
inline constexpr std::string_view kUnknownType = "?";
// The bucket of calls that send no message.
inline constexpr std::string_view kCalls = "?call";

struct GateRequest {
  std::string sender_id;  // lower-case UUID
  std::string t;          // message type; callers pass kUnknownType for types that do not exist
  std::string txn_id;     // lower-case UUID; empty: only the rate is asked
  int limit;              // messages a second for this sender, type and role; 1 or more
};

struct GateAnswer {
  GateOutcome outcome;
  int limit;                              // as asked, for RateLimit-Policy
  int remaining;                          // left in this window, for RateLimit
  std::chrono::milliseconds retry_after;  // when limited, until the window ends; when unavailable, a hint
};

class Gate {
 public:
  virtual ~Gate() = default;
  // Never throws; completes within the configured deadline.
  virtual asio::awaitable<GateAnswer> check(GateRequest request) = 0;
  virtual bool ready() const = 0;  // the connection to Redis stands; for /readyz
};

}  // namespace sealcast
