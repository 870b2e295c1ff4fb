// The interface of the gate (docs/architecture.md). Before admission, one Lua script in Redis checks the sender's rate
// and whether the txn_id was seen. While Redis does not answer, messages are refused.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "message/gate_answer.h"

namespace sealcast::message {

// The name of the rate counter that all unknown message types share. No message type can have this name.
inline constexpr std::string_view kUnknownType = "?";
// The name of the rate counter for moderation calls, which send no message.
inline constexpr std::string_view kCalls = "?call";

struct GateRequest {
  std::string sender_id;  // lower-case UUID
  std::string t;          // message type; callers pass kUnknownType for an unknown type
  std::string txn_id;     // lower-case UUID; if it is empty, only the rate is checked
  int limit;              // messages per second for this sender, type and role; 1 or more
};

class Gate {
 public:
  virtual ~Gate() = default;
  // Never throws. Returns within gate.timeout_ms.
  virtual asio::awaitable<GateAnswer> check(GateRequest request) = 0;
  virtual bool ready() const = 0;  // the gate is connected to Redis; for /readyz
};

}  // namespace sealcast::message
