// The sidecar's gate, asked from a backend.
#pragma once

#include "server/pg.h"

namespace sealcast::admission::gate {

inline constexpr std::string_view kPass = "pass";
inline constexpr std::string_view kSeen = "seen";  // the gate has seen this txn_id; it may or may not be committed
inline constexpr std::string_view kLimited = "limited";
inline constexpr std::string_view kUnavailable = "unavailable";
inline constexpr std::string_view kOff = "off";  // a superuser has switched it off

struct Answer {
  std::string_view outcome;
  std::optional<int64> retry_after_ms{};
};

// 1 to 64 of a-z, 0-9, _, . and -, beginning with a letter.
bool is_message_type(std::string_view t);

// Over sealcast.gate_socket, within sealcast.gate_timeout; unavailable when there is no answer. `t` is a message type.
Answer check(const pg_uuid_t& sender_id, const pg_uuid_t& stream_id, std::string_view t, const pg_uuid_t& txn_id);

}  // namespace sealcast::admission::gate
