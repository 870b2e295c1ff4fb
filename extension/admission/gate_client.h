// Asks the sidecar's gate about a message that was sent from SQL. The gate checks the sender's rate, and whether the
// txn_id was seen before.
#pragma once

#include "server/pg.h"

namespace sealcast::admission::gate {

inline constexpr std::string_view kPass = "pass";
inline constexpr std::string_view kSeen =
    "seen";  // the gate has seen this txn_id before; whether that message was committed is unknown
inline constexpr std::string_view kLimited = "limited";
inline constexpr std::string_view kUnavailable = "unavailable";
inline constexpr std::string_view kOff = "off";  // a superuser has set sealcast.gate = off

struct Answer {
  std::string_view outcome;
  std::optional<int64> retry_after_ms{};
};

// Asks the gate over the Unix socket sealcast.gate_socket. The outcome is kUnavailable if there is no valid answer
// within sealcast.gate_timeout, or if gate_socket is unset. It is kOff, without asking, if sealcast.gate is off. `t`
// must satisfy core::is_message_type(), because it goes into a line of the protocol.
Answer check(const pg_uuid_t& sender_id, const pg_uuid_t& stream_id, std::string_view t, const pg_uuid_t& txn_id);

}  // namespace sealcast::admission::gate
