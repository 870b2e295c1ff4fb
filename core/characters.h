// Sets of ASCII characters that formats are made of. They do not depend on the locale.
#pragma once

#include <string_view>

namespace sealcast::core {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower_case(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_alphanumeric(char c) { return is_digit(c) || is_lower_case(static_cast<char>(c | 0x20)); }

// A character of an HTTP token, such as the name of a header field (RFC 9110, 5.6.2).
constexpr bool is_token_character(char c) {
  return is_alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

}  // namespace sealcast::core
