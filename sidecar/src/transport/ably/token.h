// Tokens for Ably: a TokenRequest that is signed here and exchanged there, by the reader, once.
// https://ably.com/docs/api/token-request-spec
#pragma once

#include <memory>

#include "config/settings.h"
#include "transport/tokens.h"

namespace sealcast::transport::ably {

// The `mac` of a TokenRequest: base64 of the HMAC of its fields, each with a line break behind it.
std::string sign_token_request(std::string_view secret, std::string_view key_name, std::int64_t ttl_ms,
                               std::string_view capability, std::string_view client_id, std::int64_t timestamp_ms,
                               std::string_view nonce);

// Null while ably.key_file is empty. Throws SettingsError when the key cannot be used.
std::unique_ptr<TokenMaker> make_ably_tokens(const config::Settings& settings);

}  // namespace sealcast::transport::ably
