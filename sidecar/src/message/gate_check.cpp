// Splits the line `check <sender_id> <stream_id> <t> <txn_id>` of the gate socket into five words, and validates each.
#include "message/gate_check.h"

#include <algorithm>
#include <array>

#include "core/message_type.h"
#include "core/uuid.h"

namespace sealcast::message {

std::optional<GateCheck> parse_check(std::string_view line) {
  if (line.size() > kMaxCheckBytes) return std::nullopt;
  std::array<std::string_view, 5> words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto space = line.find(' ');
    if ((space == std::string_view::npos) != (i + 1 == words.size())) return std::nullopt;
    words[i] = line.substr(0, space);
    line.remove_prefix(std::min(words[i].size() + 1, line.size()));
  }
  GateCheck check;
  check.t = words[3];
  if (words[0] != "check" || !core::is_message_type(check.t) || !core::normalize_uuid(words[1], check.sender_id) ||
      !core::normalize_uuid(words[2], check.stream_id) || !core::normalize_uuid(words[4], check.txn_id)) {
    return std::nullopt;
  }
  return check;
}

}  // namespace sealcast::message
