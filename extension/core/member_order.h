// The order of an object's members: by the UTF-16 code units of their keys (RFC 8785 §3.2.3). Internal to core.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "canonical_json.h"

namespace sealcast {

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

// Compares two valid UTF-8 strings as UTF-16 would.
inline std::strong_ordering compare_keys(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  std::size_t i = 0;
  for (; i + 8 <= common && std::memcmp(a.data() + i, b.data() + i, 8) == 0; i += 8) {
  }
  while (i < common && a[i] == b[i]) ++i;
  if (i == common) return a.size() <=> b.size();
  const auto x = static_cast<unsigned char>(a[i]);
  const auto y = static_cast<unsigned char>(b[i]);
  // UTF-8 sorts by code point. UTF-16 differs only where surrogates (lead bytes from F0 on) meet U+E000..U+FFFF
  // (lead bytes EE and EF), which they precede.
  if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0)) return y <=> x;
  return x <=> y;
}

// Sorts the members by key; returns the later one of two with the same key, or null when all differ.
const Member* sort_members(std::span<Member> members, Poll& poll);

// Puts the text of sorted members, which stand in `text` one after another with a comma between, in their order.
void move_members(std::span<Member> members, char* text, std::string& scratch, Poll& poll);

}  // namespace sealcast
