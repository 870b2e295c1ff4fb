// Converts between bytes and base64, 6 bits per character, for both alphabets.
#include "core/token/base64.h"

#include <array>
#include <cstdint>

namespace sealcast::core::token {
namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kGroup = 4;  // characters that encode 3 bytes

constexpr std::uint8_t kNoValue = 64;
using Values = std::array<std::uint8_t, 256>;  // the 6 bits of each character, or kNoValue

constexpr Values values_of(std::string_view alphabet) {
  Values values{};
  values.fill(kNoValue);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

constexpr Values kStandardValues = values_of(kStandard);
constexpr Values kUrlValues = values_of(kUrl);

void append(std::string_view alphabet, std::string_view bytes, std::string& out) {
  unsigned bits = 0;
  int count = 0;  // bits that are not written yet
  for (const char c : bytes) {
    bits = (bits & 0xFF) << 8 | static_cast<unsigned char>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      out += alphabet[bits >> count & 0x3F];
    }
  }
  if (count > 0) out += alphabet[bits << (6 - count) & 0x3F];
}

// Decodes a text without padding.
bool decode(const Values& values, std::string_view text, std::string& out) {
  out.clear();
  if (text.size() % kGroup == 1) return false;
  out.reserve(text.size() / kGroup * 3 + 2);
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const unsigned value = values[static_cast<unsigned char>(c)];
    if (value == kNoValue) return false;
    bits = bits << 6 | value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFF);
    bits &= (1U << count) - 1;
  }
  return bits == 0;
}

}  // namespace

std::string encode_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * kGroup);
  append(kStandard, bytes, out);
  out.resize((out.size() + kGroup - 1) / kGroup * kGroup, '=');
  return out;
}

bool decode_base64(std::string_view text, std::string& out) {
  if (text.size() % kGroup != 0) return false;
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  return decode(kStandardValues, text, out);
}

void append_base64url(std::string_view bytes, std::string& out) { append(kUrl, bytes, out); }

bool decode_base64url(std::string_view text, std::string& out) { return decode(kUrlValues, text, out); }

}  // namespace sealcast::core::token
