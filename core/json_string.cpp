// Scans, escapes and decodes JSON strings. Only this file and plain_bytes.h know which bytes a canonical string
// escapes.
#include "core/json_string.h"

#include <cstring>

#include "core/plain_bytes.h"

namespace sealcast::core {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// The character after the backslash of a two-character escape, or 0 if the only escape of `c` is \u00xx.
char short_escape(unsigned char c) {
  switch (c) {
    case '"':
    case '\\':
      return static_cast<char>(c);
    case '\b':
      return 'b';
    case '\t':
      return 't';
    case '\n':
      return 'n';
    case '\f':
      return 'f';
    case '\r':
      return 'r';
    default:
      return 0;
  }
}

unsigned hex_value(char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); }

}  // namespace

const char* multibyte_end(const char* p, const char* end) {
  const auto byte = [p](int i) { return static_cast<unsigned char>(p[i]); };
  const auto continues = [&byte](int i) { return (byte(i) & 0xC0) == 0x80; };
  const std::ptrdiff_t left = end - p;
  const unsigned char lead = byte(0);
  if (lead < 0xC2) return nullptr;  // a continuation byte, or an overlong two-byte form
  if (lead < 0xE0) return left >= 2 && continues(1) ? p + 2 : nullptr;
  if (lead < 0xF0) {
    if (left < 3 || !continues(1) || !continues(2)) return nullptr;
    if (lead == 0xE0 && byte(1) < 0xA0) return nullptr;  // overlong
    if (lead == 0xED && byte(1) > 0x9F) return nullptr;  // a surrogate
    return p + 3;
  }
  if (lead > 0xF4 || left < 4 || !continues(1) || !continues(2) || !continues(3)) return nullptr;
  if (lead == 0xF0 && byte(1) < 0x90) return nullptr;  // overlong
  if (lead == 0xF4 && byte(1) > 0x8F) return nullptr;  // above U+10FFFF
  return p + 4;
}

InOut copy_multibyte(InOut at, const char* end, const char* stop) {
  do {
    const char* const next = multibyte_end(at.in, end);
    if (next == nullptr) return {at.in, nullptr};
    while (at.in < next) *at.out++ = *at.in++;
  } while (at.in < stop && static_cast<unsigned char>(*at.in) >= 0x80);
  return at;
}

char* write_ascii(unsigned char c, char* out) {
  if (is_plain(c)) {
    *out++ = static_cast<char>(c);
    return out;
  }
  *out++ = '\\';
  if (const char letter = short_escape(c)) {
    *out++ = letter;
    return out;
  }
  std::memcpy(out, "u00", 3);
  out[3] = kHex[c >> 4];
  out[4] = kHex[c & 15];
  return out + 5;
}

char* write_multibyte(unsigned code_point, char* out) {
  const auto tail = [code_point](int shift) { return static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)); };
  if (code_point < 0x800) {
    *out++ = static_cast<char>(0xC0 | (code_point >> 6));
  } else {
    if (code_point < 0x10000) {
      *out++ = static_cast<char>(0xE0 | (code_point >> 12));
    } else {
      *out++ = static_cast<char>(0xF0 | (code_point >> 18));
      *out++ = tail(12);
    }
    *out++ = tail(6);
  }
  *out++ = tail(0);
  return out;
}

bool write_json_string(std::string_view utf8, OutputBuffer& out, Fault& fault) {
  const char* const end = utf8.data() + utf8.size();
  out.make_room(utf8.size());  // the quotes fit into the kSlack bytes that make_room() adds
  InOut at{utf8.data(), out.at};
  *at.out++ = '"';
  while (true) {
    at = copy_plain(at, end);
    if (at.in == end) break;
    if (static_cast<unsigned char>(*at.in) < 0x80) {
      // Makes room again, because an escape is longer than the byte that it replaces.
      out.at = write_ascii(static_cast<unsigned char>(*at.in++), at.out);
      out.make_room(static_cast<std::size_t>(end - at.in));
      at.out = out.at;
      continue;
    }
    at = copy_multibyte(at, end, end);
    if (at.out == nullptr) {
      fault = {at.in, "invalid UTF-8"};
      return false;
    }
  }
  *at.out++ = '"';
  out.at = at.out;
  out.make_room(0);
  return true;
}

bool append_json_string(std::string_view utf8, std::string& out, Fault& fault) {
  const std::size_t start = out.size();
  OutputBuffer end(out);
  if (!write_json_string(utf8, end, fault)) {
    out.resize(start);
    return false;
  }
  end.finish();
  return true;
}

void append_unescaped(std::string_view canonical, std::string& out) {
  for (std::size_t i = 0; i < canonical.size();) {
    const std::size_t backslash = canonical.find('\\', i);
    out.append(canonical, i, backslash - i);
    if (backslash == std::string_view::npos) return;
    const char letter = canonical[backslash + 1];
    i = backslash + 2;
    switch (letter) {
      case 'b':
        out += '\b';
        break;
      case 't':
        out += '\t';
        break;
      case 'n':
        out += '\n';
        break;
      case 'f':
        out += '\f';
        break;
      case 'r':
        out += '\r';
        break;
      case 'u':
        out += static_cast<char>(hex_value(canonical[i + 2]) << 4 | hex_value(canonical[i + 3]));
        i += 4;
        break;
      default:
        out += letter;
    }
  }
}

}  // namespace sealcast::core
