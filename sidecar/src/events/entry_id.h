// The id of an entry of a Redis stream, `milliseconds-sequence`, by which entries are ordered.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sealcast::events {

struct EntryId {
  std::uint64_t ms = 0;
  std::uint64_t seq = 0;

  auto operator<=>(const EntryId&) const = default;
};

std::optional<EntryId> parse_entry_id(std::string_view text);
std::string to_string(const EntryId& id);

}  // namespace sealcast::events
