// Asks the sidecar's gate about a message that was sent from SQL. The gate checks the sender's rate, and whether the
// txn_id was seen before.
#pragma once

#include "server/pg.h"

namespace sealcast::admission::gate {

inline constexpr std::string_view kPass = "pass";
inline constexpr std::string_view kSeen =
    "seen";  // the gate has seen this txn_id before; whether that message was committed is unknown
inline constexpr std::string_view kLimited = "limited";
inline constexpr std::string_view kSlowed = "slowed";      // the stream has a slow mode, and the sender must wait
inline constexpr std::string_view kRepeated = "repeated";  // the sender has sent the same text not long ago
inline constexpr std::string_view kCopied = "copied";      // too many users have sent the same text
inline constexpr std::string_view kText = "text";  // the gate has counted nothing: it needs the hash of the text
inline constexpr std::string_view kUnavailable = "unavailable";
inline constexpr std::string_view kOff = "off";  // a superuser has set sealcast.gate = off

struct Answer {
  std::string_view outcome;
  std::optional<int64> retry_after_ms{};
  int64 limit = 0;  // messages per second; set if the outcome is kLimited
};

// Asks the gate over the Unix socket sealcast.gate_socket. The outcome is kUnavailable if there is no valid answer
// within sealcast.gate_timeout, or if gate_socket is unset. It is kOff, without asking, if sealcast.gate is off. `t`
// must satisfy core::is_message_type(), because it goes into a line of the protocol. `text` is the hash of the text, or
// "-" if it has none; it may be empty in the first question, because few streams need it.
Answer check(const pg_uuid_t& sender_id, const pg_uuid_t& stream_id, std::string_view t, const pg_uuid_t& txn_id,
             std::string_view text = {});

}  // namespace sealcast::admission::gate
