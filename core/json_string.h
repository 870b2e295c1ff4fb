// JSON strings as bytes: scanning, strict UTF-8, the minimal escapes of RFC 8785 §3.2.2.2.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/open_end.h"
#include "core/plain_bytes.h"

namespace sealcast::core {

// Why a piece of JSON is refused and where; whoever reads the document turns it into an Error with an offset or path.
struct Fault {
  const char* at = nullptr;
  const char* what = nullptr;
};

// The end of the multi-byte UTF-8 sequence at `p`; null when it is cut off, overlong, a surrogate or past U+10FFFF.
const char* multibyte_end(const char* p, const char* end);

// Copies the multi-byte sequence at `at` and those that follow before `stop`. Where one is not UTF-8 or is cut off by
// `end` it returns at.out == nullptr.
Cursor copy_multibyte(Cursor at, const char* end, const char* stop);

// Writes one decoded code point below U+0080 as canonical string content; returns the new end.
char* write_ascii(unsigned char c, char* out);

// Writes one code point from U+0080 on as UTF-8.
char* write_multibyte(unsigned code_point, char* out);

// Writes `utf8` as a canonical JSON string with its quotes, and kSlack of room behind it. False when it is not UTF-8.
bool write_json_string(std::string_view utf8, OpenEnd& out, Fault& fault);

// Appends it. False, with `out` as it was, when it is not UTF-8.
bool append_json_string(std::string_view utf8, std::string& out, Fault& fault);

// Appends what the content of a canonical JSON string (without its quotes) stands for.
void append_unescaped(std::string_view canonical, std::string& out);

}  // namespace sealcast::core
