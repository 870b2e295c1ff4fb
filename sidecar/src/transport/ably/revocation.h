// Revokes tokens of Ably by POST {url}/keys/{keyName}/revokeTokens.
// https://ably.com/docs/auth/revocation, https://ably.com/docs/api/rest-api#revoke-tokens
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/tokens.h"

namespace sealcast::transport::ably {

// Returns null when ably.key_file is empty. Throws SettingsError when the key file cannot be read or contains no API
// key.
std::unique_ptr<TokenRevoker> make_ably_revoker(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::ably
