// Base64url without padding (RFC 4648 §5, RFC 7515 §2), strict: one text for one byte string.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::core::token {

// False for padding, foreign characters, an impossible length, or unused bits that are not zero.
bool decode_base64url(std::string_view text, std::string& out);
void append_base64url(std::string_view bytes, std::string& out);

}  // namespace sealcast::core::token
