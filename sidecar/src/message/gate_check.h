// Parses the line by which Postgres asks the gate socket: `check <sender_id> <stream_id> <t> <txn_id>`.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sealcast::message {

struct GateCheck {
  std::string sender_id;  // UUIDs are lower-case
  std::string stream_id;
  std::string t;
  std::string txn_id;
};

inline constexpr std::size_t kMaxCheckBytes = 512;

// `line` is without its line feed. Null unless the line is a valid check.
std::optional<GateCheck> parse_check(std::string_view line);

}  // namespace sealcast::message
