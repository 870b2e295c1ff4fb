// Asks the gate of the sidecar from a backend of Postgres.
#pragma once

#include "server/pg.h"

namespace sealcast::admission::gate {

inline constexpr std::string_view kPass = "pass";
inline constexpr std::string_view kSeen =
    "seen";  // this txn_id was seen before; its message may or may not be committed
inline constexpr std::string_view kLimited = "limited";
inline constexpr std::string_view kUnavailable = "unavailable";
inline constexpr std::string_view kOff = "off";  // a superuser has set sealcast.gate = off

struct Answer {
  std::string_view outcome;
  std::optional<int64> retry_after_ms{};
};

// A message type has 1 to 64 characters of a-z, 0-9, _, . and -, and begins with a letter.
bool is_message_type(std::string_view t);

// Asks over sealcast.gate_socket, for at most sealcast.gate_timeout. No answer: kUnavailable. `t` must be a message
// type.
Answer check(const pg_uuid_t& sender_id, const pg_uuid_t& stream_id, std::string_view t, const pg_uuid_t& txn_id);

}  // namespace sealcast::admission::gate
