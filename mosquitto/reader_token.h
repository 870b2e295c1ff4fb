// Verifies a reader's token (docs/tokens.md) and returns the topics that the reader may read at the broker.
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
};

struct ReaderTokenResult {
  std::optional<ReaderToken> token;
  const char* problem;  // why the token is invalid
};

// A token is valid only if its `acl` allows subscriptions to topics, then denies everything else, and has no other
// rule.
ReaderTokenResult verify_reader_token(const core::token::Jwt& jwt, const core::HmacKey& key, std::int64_t now_seconds);

}  // namespace sealcast::broker
