// Verifies the input as a reader token, and then as the claims of a reader token with a correct signature. Verification
// must not throw. A valid token must name topics without wildcards.
#include <string>

#include "fuzz.h"
#include "reader_token.h"

namespace sealcast::fuzz {

void check(std::string_view bytes) {
  constexpr std::int64_t kNow = 1'700'000'000;
  static const core::HmacKey key("0123456789abcdef0123456789abcdef");
  static const core::HmacKey other("another secret: 0123456789abcdef");
  if (const auto jwt = core::token::parse_jwt(bytes)) broker::verify_reader_token(*jwt, key, kNow);

  const std::string token = core::token::write_hs256(bytes, key);
  const auto jwt = core::token::parse_jwt(token);
  require(jwt.has_value() == (token.size() <= core::token::kMaxTokenBytes),
          "a written token can be parsed, unless it is too long");
  if (!jwt) return;
  require(jwt->payload == bytes, "the parsed claims are the written claims");
  require(!broker::verify_reader_token(*jwt, other, kNow).token, "a token is invalid under another key");
  const auto result = broker::verify_reader_token(*jwt, key, kNow);
  require(result.token.has_value() == (result.problem == nullptr), "a token is valid, or it has a problem");
  if (!result.token) return;
  require(result.token->expires_at > kNow, "a valid token has not expired");
  require(!result.token->topics.empty(), "a valid token names a topic");
  for (const std::string& topic : result.token->topics) {
    require(!topic.empty() && topic.find_first_of("+#") == topic.npos && !topic.starts_with("$share/"),
            "topics have no wildcards, and are not shared");
  }
}

}  // namespace sealcast::fuzz
