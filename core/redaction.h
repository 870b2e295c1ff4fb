// Redaction: the content of a message is erased, and its envelope keeps the hash and the signature
// (docs/moderation.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sealcast::core {

// The types of the messages with which the system announces redactions. A closed stream takes these messages too.
inline constexpr std::string_view kMessageRedacted = "message_redacted";
inline constexpr std::string_view kMessagesPurged = "messages_purged";
constexpr bool announces_redaction(std::string_view t) { return t == kMessageRedacted || t == kMessagesPurged; }

// Appends the member `redacted` of a frame: {"by":…,"at":…,"reason":…}. `by` is the UUID of the user who redacted the
// message; nullopt: an operator without one. `at` is in Unix milliseconds. Throws Error{invalid_argument} if a text is
// not valid UTF-8.
void append_redaction(std::optional<std::string_view> by, std::int64_t at, std::optional<std::string_view> reason,
                      std::string& out);

// Returns whether an envelope, as it was sealed, is a redacted one.
bool is_redacted(std::string_view envelope);

// Appends the redacted form of an envelope, as it was sealed. Returns false, and appends nothing, if the envelope is
// redacted already or is none.
bool append_redacted_form(std::string_view envelope, std::string& out);

}  // namespace sealcast::core
