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

// Checks the cancel flag once per kPollBytes of work.
class Poll {
 public:
  explicit Poll(CancelFlag flag) : flag_(flag) {}
  void spend(std::size_t bytes) {
    if (bytes < left_) {
      left_ -= bytes;
    } else {
      left_ = kPollBytes;
      check();
    }
  }
  void check() const;  // throws Error{interrupted}

 private:
  CancelFlag flag_;
  std::size_t left_ = kPollBytes;
};

// Returns the rank of a UTF-8 byte in the order of UTF-16. UTF-8 sorts by code point. UTF-16 sorts differently in one
// case: surrogate pairs (lead bytes from F0) come before U+E000..U+FFFF (lead bytes EE and EF).
inline unsigned char utf16_rank(unsigned char byte) {
  if (byte < 0xEE) return byte;
  return static_cast<unsigned char>(byte >= 0xF0 ? byte - 2 : byte + 16);
}

// Compares two valid UTF-8 strings by their UTF-16 code units.
inline std::strong_ordering compare_keys(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  std::size_t i = 0;
  for (; i + 8 <= common && std::memcmp(a.data() + i, b.data() + i, 8) == 0; i += 8) {
  }
  while (i < common && a[i] == b[i]) ++i;
  if (i == common) return a.size() <=> b.size();
  return utf16_rank(static_cast<unsigned char>(a[i])) <=> utf16_rank(static_cast<unsigned char>(b[i]));
}

// Returns a number made from the first eight bytes of a key. If the numbers of two keys differ, the numbers have the
// same order as the keys. Different keys may have the same number.
inline std::uint64_t key_prefix(std::string_view key) {
  const auto byte = [&key](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(key[i])}; };
  const std::size_t size = std::min<std::size_t>(key.size(), 8);
  std::uint64_t prefix = 0;
  if constexpr (std::endian::native == std::endian::little) {
    // Loads overlapping parts of fixed sizes, because a memcpy of `size` bytes would be a function call.
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

// Compares the keys of two members. Different prefixes decide without compare_keys(), which is slower.
inline std::strong_ordering compare_members(const Member& a, const Member& b) {
  return a.prefix != b.prefix ? a.prefix <=> b.prefix : compare_keys(a.key, b.key);
}

// Adds a member whose value is not written yet, so `end` stays 0. Fills the member in place: a copy of a complete
// Member would use vector registers. Their loads would wait until the smaller stores of the parts are complete.
inline Member& add_member(std::vector<Member>& members, std::string_view key, std::size_t begin, std::size_t source) {
  Member& member = members.emplace_back();
  member.key = key;
  member.prefix = key_prefix(key);
  member.begin = begin;
  member.source = source;
  return member;
}

// Sorts the members by key. If two members have the same key, returns the later one in the input. Otherwise returns
// null. Throws Error{interrupted}.
const Member* sort_members(std::span<Member> members, Poll& poll);

// Moves the parts of `text` that are the members into the order of `members`, which is sorted. Updates the range of
// each moved member. In `text` the members must be adjacent, separated by commas. kSlack bytes after the members must
// be readable. `scratch` is a buffer that callers reuse. Throws Error{interrupted}.
void move_members(std::span<Member> members, char* text, std::string& scratch, Poll& poll);

}  // namespace sealcast::core
