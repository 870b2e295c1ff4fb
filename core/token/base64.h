// Base64 (RFC 4648), strict: each byte string has exactly one accepted text.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::core::token {

// Writes standard base64 (§4) with padding, which HTTP headers and the signatures of outside services use.
std::string encode_base64(std::string_view bytes);
// Replaces `out` with the decoded bytes. Returns false for missing or misplaced padding, characters outside the
// alphabet (including white space), or unused bits that are not zero. After a failure the content of `out` is
// unspecified.
bool decode_base64(std::string_view text, std::string& out);

// Writes base64url (§5) without padding, which JWTs use (RFC 7515 §2).
void append_base64url(std::string_view bytes, std::string& out);
// Does the same as decode_base64() for base64url, but refuses any padding.
bool decode_base64url(std::string_view text, std::string& out);

}  // namespace sealcast::core::token
