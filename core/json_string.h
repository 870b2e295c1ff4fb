// Reads and writes JSON strings: strict UTF-8, and the minimal escapes of RFC 8785 §3.2.2.2.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/output_buffer.h"
#include "core/plain_bytes.h"

namespace sealcast::core {

// The reason to refuse a part of JSON, and its place in memory. The canonicalisers make an Error from a Fault. Its
// message names the byte offset or the path.
struct Fault {
  const char* at = nullptr;
  const char* problem = nullptr;
};

// Returns the end of the multi-byte UTF-8 sequence at `p`, or null if the bytes are not valid UTF-8: no lead byte,
// incomplete, overlong, a surrogate or above U+10FFFF.
const char* multibyte_end(const char* p, const char* end);

// Copies the multi-byte sequence at `at` and the multi-byte sequences that follow directly. Copies no further sequence
// that begins at or after `stop`. If a sequence is not UTF-8 or exceeds `end`, returns out == nullptr, and `in` points
// to this sequence.
InOut copy_multibyte(InOut at, const char* end, const char* stop);

// Writes one decoded code point below U+0080 as canonical string content, escaped if necessary. Returns the new end.
char* write_ascii(unsigned char c, char* out);

// Writes one code point from U+0080 on as UTF-8. Returns the new end.
char* write_multibyte(unsigned code_point, char* out);

// Writes `utf8` as a canonical JSON string with quotes, and makes kSlack bytes of room after it. If `utf8` is not valid
// UTF-8, returns false and sets `fault`; the bytes at the end of `out` are unspecified after that.
bool write_json_string(std::string_view utf8, OutputBuffer& out, Fault& fault);

// Appends `utf8` to a std::string as write_json_string() does. After a failure `out` is unchanged.
bool append_json_string(std::string_view utf8, std::string& out, Fault& fault);

// Decodes the content of a canonical JSON string (without its quotes) and appends the decoded text to `out`.
void append_unescaped(std::string_view canonical, std::string& out);

}  // namespace sealcast::core
