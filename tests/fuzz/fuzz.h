// What the fuzzers have in common: libFuzzer's entry, properties that have to hold, and inputs that are lines.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace sealcast::fuzz {

// What a fuzzer is: whatever the bytes are, it returns.
void check(std::string_view bytes);

// libFuzzer keeps the input with which a property does not hold.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::cerr << "broken: " << property << '\n';
  std::abort();
}

// Takes the first line of the rest, without its end.
inline std::string_view next_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

// Unlike find(), not what libFuzzer listens to: it would put together the very text that is looked for.
inline bool contains(std::string_view text, std::string_view piece) {
  return std::search(text.begin(), text.end(), piece.begin(), piece.end(), [](char a, char b) { return a == b; }) !=
         text.end();
}

// Fit for a log or a header: no control character.
inline bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

}  // namespace sealcast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sealcast::fuzz::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
