// Reads and writes JSON strings: strict UTF-8, and the minimal escapes of RFC 8785 §3.2.2.2.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/output_buffer.h"
#include "core/plain_bytes.h"

namespace sealcast::core {

// Why and where a part of JSON is refused. The canonicaliser makes an Error of it that names the byte offset or the
// path.
struct Fault {
  const char* at = nullptr;
  const char* problem = nullptr;
};

// Returns the end of the multi-byte UTF-8 sequence at `p`, or null if the sequence is incomplete, overlong, a surrogate
// or above U+10FFFF.
const char* multibyte_end(const char* p, const char* end);

// Copies the multi-byte sequence at `at` and the directly following ones, until one begins at or after `stop`. Returns
// out == nullptr at a sequence that is not UTF-8 or exceeds `end`; `in` then points to it.
InOut copy_multibyte(InOut at, const char* end, const char* stop);

// Writes one decoded code point below U+0080 as canonical string content, escaped if necessary. Returns the new end.
char* write_ascii(unsigned char c, char* out);

// Writes one code point from U+0080 on as UTF-8. Returns the new end.
char* write_multibyte(unsigned code_point, char* out);

// Writes `utf8` as a canonical JSON string with quotes, and makes kSlack bytes of room after it. Returns false and sets
// `fault` if it is not UTF-8.
bool write_json_string(std::string_view utf8, OutputBuffer& out, Fault& fault);

// As write_json_string(), for a std::string. After a failure `out` is unchanged.
bool append_json_string(std::string_view utf8, std::string& out, Fault& fault);

// Decodes the content of a canonical JSON string (without its quotes) and appends it.
void append_unescaped(std::string_view canonical, std::string& out);

}  // namespace sealcast::core
