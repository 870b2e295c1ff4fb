// Verifies a reader token (docs/tokens.md) and returns the topics that the reader may read at the broker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/token/jwt.h"

namespace sealcast::broker {

struct ReaderToken {
  std::vector<std::string> topics;
  std::int64_t expires_at;  // Unix seconds
  bool ends_connection;     // the reader is disconnected when the token expires
};

struct ReaderTokenResult {
  std::optional<ReaderToken> token;
  const char* problem;  // the reason why the token is invalid; null for a valid token
};

// A token is valid if `key` has signed it with HS256, it has not expired, and its `acl` is that of a reader: it names
// topics to subscribe to, and nothing else.
ReaderTokenResult verify_reader_token(const core::token::Jwt& jwt, const core::HmacKey& key, std::int64_t now_seconds);

}  // namespace sealcast::broker
