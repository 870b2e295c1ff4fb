// Splits the line `check <sender_id> <stream_id> <t> <txn_id> [<text>]` of the gate socket into words, and validates
// each.
#include "message/gate_check.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "core/message_type.h"
#include "core/terms/text_hash.h"
#include "core/uuid.h"

namespace sealcast::message {

namespace {

bool read_text(std::string_view word, std::string& text) {
  if (word == "-") return true;
  text = word;
  return word.size() == core::terms::kTextHash &&
         std::all_of(word.begin(), word.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::optional<GateCheck> parse_check(std::string_view line) {
  if (line.size() > kMaxCheckBytes) return std::nullopt;
  std::array<std::string_view, 6> words;
  constexpr std::size_t kNeeded = words.size() - 1;
  std::size_t count = 0;
  for (auto space = line.find(' '); space != std::string_view::npos; space = line.find(' ')) {
    if (count + 1 == words.size()) return std::nullopt;
    words[count++] = line.substr(0, space);
    line.remove_prefix(space + 1);
  }
  words[count++] = line;
  if (count < kNeeded) return std::nullopt;
  GateCheck check;
  check.t = words[3];
  if (words[0] != "check" || !core::is_message_type(check.t) || !core::normalize_uuid(words[1], check.sender_id) ||
      !core::normalize_uuid(words[2], check.stream_id) || !core::normalize_uuid(words[4], check.txn_id)) {
    return std::nullopt;
  }
  if (count > kNeeded && !read_text(words[kNeeded], check.text.emplace())) return std::nullopt;
  return check;
}

}  // namespace sealcast::message
