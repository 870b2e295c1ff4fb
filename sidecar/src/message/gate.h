// The interface of the gate (docs/architecture.md). Before admission, one Lua script in Redis checks the sender's rate,
// whether the txn_id was seen, and the rules of the stream that count messages. While Redis does not answer, messages
// are refused.
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

// The rules of a stream that the gate enforces on a message. 0: no such rule.
struct StreamLimits {
  std::chrono::seconds slow_mode{0};    // the sender's pause between two messages
  std::chrono::seconds unique{0};       // for so long the sender may not repeat a text
  int raid_copies = 0;                  // the most users who may send the same text ...
  std::chrono::seconds raid_within{0};  // ... within this time

  bool counts_text() const { return unique.count() > 0 || raid_copies > 0; }
  bool any() const { return slow_mode.count() > 0 || counts_text(); }
};

struct GateRequest {
  std::string sender_id;    // lower-case UUID
  std::string t;            // message type; callers pass kUnknownType for an unknown type
  std::string txn_id;       // lower-case UUID; if it is empty, only the rate is checked
  int limit;                // messages per second for this sender, type and role; 1 or more
  std::string stream_id{};  // lower-case UUID; used only with rules
  StreamLimits rules{};
  std::string text{};  // the hash of the text (core/terms/text_hash.h); empty: the rules about texts do not apply
};

class Gate {
 public:
  virtual ~Gate() = default;
  // Never throws. Returns within gate.timeout_ms.
  virtual asio::awaitable<GateAnswer> check(GateRequest request) = 0;
  virtual bool ready() const = 0;  // the gate is connected to Redis; for /readyz
};

}  // namespace sealcast::message
