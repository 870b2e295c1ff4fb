// Makes reader tokens for Ably. A reader token is a signed TokenRequest, which the reader exchanges once for a token of
// Ably.
// https://ably.com/docs/api/token-request-spec
#pragma once

#include <memory>

#include "config/settings.h"
#include "transport/tokens.h"

namespace sealcast::transport::ably {

// Returns the member `mac` of a TokenRequest: the HMAC-SHA-256 over its fields, in base64. Each field is followed by a
// line break.
std::string sign_token_request(std::string_view secret, std::string_view key_name, std::int64_t ttl_ms,
                               std::string_view capability, std::string_view client_id, std::int64_t timestamp_ms,
                               std::string_view nonce);

// Returns null when ably.key_file is empty. Throws SettingsError when the key file cannot be read or contains no API
// key.
std::unique_ptr<TokenMaker> make_ably_tokens(const config::Settings& settings);

}  // namespace sealcast::transport::ably
