// Base64 (RFC 4648), strict: each byte string has exactly one accepted text.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::core::token {

// Standard base64 (§4) with padding, as HTTP headers and signatures of outside services have it.
std::string encode_base64(std::string_view bytes);
// Replaces `out` with the decoded bytes. Returns false for missing or misplaced padding, foreign characters (white
// space too), or unused bits that are not zero. `out` is then unspecified.
bool decode_base64(std::string_view text, std::string& out);

// Base64url (§5) without padding, as tokens have it (RFC 7515 §2).
void append_base64url(std::string_view bytes, std::string& out);
// As decode_base64(), but any padding is refused.
bool decode_base64url(std::string_view text, std::string& out);

}  // namespace sealcast::core::token
