// The order of an object's members: by the UTF-16 code units of their keys (RFC 8785 §3.2.3). Internal to core.
#pragma once

#include <algorithm>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/canonical_json.h"

namespace sealcast::core {

inline constexpr std::size_t kPollBytes = 64 * 1024;

// Looks at the cancel flag once per kPollBytes of work.
class Poll {
 public:
  explicit Poll(CancelFlag flag) : flag_(flag) {}
  void spend(std::size_t bytes) {
    if (bytes < left_) {
      left_ -= bytes;
    } else {
      left_ = kPollBytes;
      look();
    }
  }
  void look() const;  // throws Error{interrupted}

 private:
  CancelFlag flag_;
  std::size_t left_ = kPollBytes;
};

// UTF-8 sorts by code point. UTF-16 differs only where surrogates (lead bytes from F0 on) meet U+E000..U+FFFF (lead
// bytes EE and EF), which they precede: a byte's place among the lead bytes of UTF-8 when they go by UTF-16.
inline unsigned char utf16_rank(unsigned char byte) {
  if (byte < 0xEE) return byte;
  return static_cast<unsigned char>(byte >= 0xF0 ? byte - 2 : byte + 16);
}

// Compares two valid UTF-8 strings as UTF-16 would.
inline std::strong_ordering compare_keys(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  std::size_t i = 0;
  for (; i + 8 <= common && std::memcmp(a.data() + i, b.data() + i, 8) == 0; i += 8) {
  }
  while (i < common && a[i] == b[i]) ++i;
  if (i == common) return a.size() <=> b.size();
  return utf16_rank(static_cast<unsigned char>(a[i])) <=> utf16_rank(static_cast<unsigned char>(b[i]));
}

// The first eight bytes of a key as a number: of two keys with different numbers, the lesser number is the lesser key.
inline std::uint64_t key_prefix(std::string_view key) {
  const auto byte = [&key](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(key[i])}; };
  const std::size_t size = std::min<std::size_t>(key.size(), 8);
  std::uint64_t prefix = 0;
  if constexpr (std::endian::native == std::endian::little) {
    // Overlapping loads of a fixed size; a memcpy of `size` bytes would be a call.
    if (size == 8) {
      std::memcpy(&prefix, key.data(), 8);
    } else if (size >= 4) {
      std::uint32_t low, high;
      std::memcpy(&low, key.data(), 4);
      std::memcpy(&high, key.data() + size - 4, 4);
      prefix = low | std::uint64_t{high} << 8 * (size - 4);
    } else if (size > 0) {
      prefix = byte(0) | byte(size / 2) << 8 * (size / 2) | byte(size - 1) << 8 * (size - 1);
    }
    if ((prefix & 0x8080808080808080) == 0) return __builtin_bswap64(prefix);
  }
  prefix = 0;
  for (std::size_t i = 0; i < 8; ++i)
    prefix = prefix << 8 | (i < size ? utf16_rank(static_cast<unsigned char>(key[i])) : 0U);
  return prefix;
}

// As compare_keys(), from the prefixes where they tell.
inline std::strong_ordering compare_members(const Member& a, const Member& b) {
  return a.prefix != b.prefix ? a.prefix <=> b.prefix : compare_keys(a.key, b.key);
}

// Adds a member whose value does not stand yet. (Not built beside the vector and copied into it: a copy by whole vector
// registers waits until the parts that were just stored have left the store buffer.)
inline Member& add_member(std::vector<Member>& members, std::string_view key, std::size_t begin, std::size_t source) {
  Member& member = members.emplace_back();
  member.key = key;
  member.prefix = key_prefix(key);
  member.begin = begin;
  member.source = source;
  return member;
}

// Sorts the members by key; returns the later one of two with the same key, or null when all differ.
const Member* sort_members(std::span<Member> members, Poll& poll);

// Puts the text of sorted members, which stand in `text` one after another with a comma between, in their order.
// `text` can be read kSlack bytes beyond them.
void move_members(std::span<Member> members, char* text, std::string& scratch, Poll& poll);

}  // namespace sealcast::core
