// The names of message types.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "core/characters.h"

namespace sealcast::core {

inline constexpr std::size_t kMaxMessageType = 64;  // bytes

// Returns whether `t` can be the name of a message type. The table sealcast.message_types has the same rule.
constexpr bool is_message_type(std::string_view t) {
  return !t.empty() && t.size() <= kMaxMessageType && is_lower_case(t[0]) && std::ranges::all_of(t, [](char c) {
    return is_lower_case(c) || is_digit(c) || c == '_' || c == '.' || c == '-';
  });
}

}  // namespace sealcast::core
