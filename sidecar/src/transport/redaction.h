// A redaction as a stream announces it, and its effect on frames that are kept in memory or in Redis.
//
// Postgres erases the content of a message and announces it in one transaction (sql/46_redaction.sql). Frames that were
// read before still hold the content. Each part that keeps frames for later readers applies the redaction to them when
// the relay gives it the announcement.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sealcast::transport {

struct Redaction {
  std::string stream_id;
  std::string sender_id;   // of the redacted messages
  std::string txn_id;      // of the redacted message; empty: all messages from `since` to `through`
  std::int64_t since = 0;  // `ts` of the oldest and of the newest redacted message, in Unix milliseconds
  std::int64_t through = 0;
  std::int64_t offset = 0;  // of the announcement; a purge concerns only messages with smaller offsets
  std::string member;       // the member `redacted` of their frames
};
using RedactionPtr = std::shared_ptr<const Redaction>;

// Returns the redaction that an envelope announces, or null when it announces none. Only the system can send such
// messages, and Postgres has sealed the envelope. `offset` is the one of the message in its stream.
RedactionPtr announced_redaction(std::string_view envelope, std::int64_t offset);

// Returns the frame of a redacted message without its content, or nullopt when the redaction does not concern the
// frame, or the frame is redacted already. `frame` is the text of a frame of the stream.
std::optional<std::string> redacted_frame(std::string_view frame, const Redaction& redaction);

}  // namespace sealcast::transport
