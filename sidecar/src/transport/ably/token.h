// Makes reader tokens for Ably: signed TokenRequests. The reader exchanges a TokenRequest at Ably once.
// https://ably.com/docs/api/token-request-spec
#pragma once

#include <memory>

#include "config/settings.h"
#include "transport/tokens.h"

namespace sealcast::transport::ably {

// Returns the `mac` of a TokenRequest: the base64 of the HMAC over its fields, each followed by a line break.
std::string sign_token_request(std::string_view secret, std::string_view key_name, std::int64_t ttl_ms,
                               std::string_view capability, std::string_view client_id, std::int64_t timestamp_ms,
                               std::string_view nonce);

// Returns null when ably.key_file is empty. Throws SettingsError when the key cannot be used.
std::unique_ptr<TokenMaker> make_ably_tokens(const config::Settings& settings);

}  // namespace sealcast::transport::ably
