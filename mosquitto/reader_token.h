// What a reader's token (docs/tokens.md) lets its holder read at the broker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/token/jwt.h"

namespace sealcast {

struct ReaderToken {
  std::vector<std::string> topics;
  std::int64_t expires_at;  // Unix seconds
};

struct ReaderTokenResult {
  std::optional<ReaderToken> token;
  const char* problem;  // why there is none
};

// A token whose `acl` says anything but to subscribe to topics, and no more, is not understood and no good.
ReaderTokenResult verify_reader_token(const Jwt& jwt, const HmacKey& key, std::int64_t now_seconds);

}  // namespace sealcast
