// Shared by all fuzzers: libFuzzer's entry point, the check of properties, and the splitting of inputs into lines.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace sealcast::fuzz {

// Each fuzzer defines this function. It must return for all inputs, without an exception.
void check(std::string_view bytes);

// Ends the process if the property does not hold, so that libFuzzer stores the input.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::cerr << "violated: " << property << '\n';
  std::abort();
}

// Removes the first line from `rest` and returns it without its line feed.
inline std::string_view next_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

// Searches like find(), but without the comparisons that libFuzzer traces. From a traced search for a secret, libFuzzer
// would learn the secret and put it into inputs.
inline bool contains(std::string_view text, std::string_view piece) {
  return std::search(text.begin(), text.end(), piece.begin(), piece.end(), [](char a, char b) { return a == b; }) !=
         text.end();
}

// Returns whether the text contains no ASCII control character, so that a log line or a header can contain the text.
inline bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

}  // namespace sealcast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sealcast::fuzz::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
