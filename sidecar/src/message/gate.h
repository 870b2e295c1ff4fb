// The gate (docs/architecture.md): one Lua script in Redis decides, before Postgres is asked, whether a sender is
// within its rate and whether a txn_id was seen. Fails closed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "message/gate_answer.h"

namespace sealcast::message {

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

class Gate {
 public:
  virtual ~Gate() = default;
  // Never throws; completes within the configured deadline.
  virtual asio::awaitable<GateAnswer> check(GateRequest request) = 0;
  virtual bool ready() const = 0;  // the connection to Redis stands; for /readyz
};

}  // namespace sealcast::message
