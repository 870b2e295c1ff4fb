// Six bits a character, both ways.
#include "core/token/base64url.h"

#include <array>
#include <cstdint>

namespace sealcast::core::token {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t kNoValue = kAlphabet.size();

constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoValue);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

}  // namespace

bool decode_base64url(std::string_view text, std::string& out) {
  out.clear();
  if (text.size() % 4 == 1) return false;
  out.reserve(text.size() / 4 * 3 + 2);
  unsigned bits = 0;
  int held = 0;
  for (const char c : text) {
    const unsigned value = kValues[static_cast<unsigned char>(c)];
    if (value == kNoValue) return false;
    bits = bits << 6 | value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>(bits >> held & 0xFF);
    bits &= (1U << held) - 1;
  }
  return bits == 0;
}

void append_base64url(std::string_view bytes, std::string& out) {
  unsigned bits = 0;
  int held = 0;
  for (const char c : bytes) {
    bits = (bits & 0xFF) << 8 | static_cast<unsigned char>(c);
    held += 8;
    while (held >= 6) {
      held -= 6;
      out += kAlphabet[bits >> held & 0x3F];
    }
  }
  if (held > 0) out += kAlphabet[bits << (6 - held) & 0x3F];
}

}  // namespace sealcast::core::token
