// Any bytes as a token, and as the claims of one that is signed: never an exception, and what is good names plain
// topics.
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
  require(jwt.has_value() == (token.size() <= core::token::kMaxTokenBytes), "a token that was written is one");
  if (!jwt) return;
  require(jwt->payload == bytes, "its claims are what was written");
  require(!broker::verify_reader_token(*jwt, other, kNow).token, "another key's token is no good");
  const auto result = broker::verify_reader_token(*jwt, key, kNow);
  require(result.token.has_value() == (result.problem == nullptr), "it is good, or it is said why not");
  if (!result.token) return;
  require(result.token->expires_at > kNow, "it is not over");
  require(!result.token->topics.empty(), "it names a topic");
  for (const std::string& topic : result.token->topics) {
    require(!topic.empty() && topic.find_first_of("+#") == topic.npos, "topics have no wildcards");
  }
}

}  // namespace sealcast::fuzz
