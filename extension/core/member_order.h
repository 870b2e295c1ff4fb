// The order of an object's members: by the UTF-16 code units of their keys (RFC 8785 §3.2.3). Internal to core.
#pragma once

#include <compare>
#include <cstddef>
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
std::strong_ordering compare_keys(std::string_view a, std::string_view b);

// Sorts the members by key; returns the later one of two with the same key, or null when all differ.
const Member* sort_members(std::span<Member> members, Poll& poll);

// Puts the text of sorted members, which stand in `text` one after another with a comma between, in their order.
void move_members(std::span<Member> members, char* text, std::string& scratch, Poll& poll);

}  // namespace sealcast
