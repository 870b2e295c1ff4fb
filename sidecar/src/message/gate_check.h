// Parses a line that Postgres sends to the gate socket: `check <sender_id> <stream_id> <t> <txn_id>`, and
// perhaps one word more: the hash of the text, or - if the text has none.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sealcast::message {

struct GateCheck {
  std::string sender_id;  // all UUIDs are lower-case here; the line may have capital letters
  std::string stream_id;
  std::string t;
  std::string txn_id;
  std::optional<std::string> text;  // nullopt: the line does not say; empty: the text has no hash
};

inline constexpr std::size_t kMaxCheckBytes = 512;

// `line` must not contain the line feed at its end. Returns nullopt if the line is not a valid check.
std::optional<GateCheck> parse_check(std::string_view line);

}  // namespace sealcast::message
