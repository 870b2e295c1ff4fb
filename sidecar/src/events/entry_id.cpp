// Reads and writes ids.
#include "events/entry_id.h"

#include <charconv>

namespace sealcast::events {

std::optional<EntryId> parse_entry_id(std::string_view text) {
  EntryId id;
  const char* const end = text.data() + text.size();
  const auto [dash, error] = std::from_chars(text.data(), end, id.ms);
  if (error != std::errc() || dash == end || *dash != '-') return std::nullopt;
  const auto [stop, seq_error] = std::from_chars(dash + 1, end, id.seq);
  if (seq_error != std::errc() || stop != end) return std::nullopt;
  return id;
}

std::string to_string(const EntryId& id) { return std::to_string(id.ms) + '-' + std::to_string(id.seq); }

}  // namespace sealcast::events
