// Any bytes as a token, and as the claims of one that is signed: never an exception, and what is good names plain
// topics.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "reader_token.h"

namespace {

constexpr std::int64_t kNow = 1'700'000'000;

void require(bool holds, const char* property) {
  if (holds) return;
  std::cerr << "broken: " << property << '\n';
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const sealcast::HmacKey key("0123456789abcdef0123456789abcdef");
  static const sealcast::HmacKey other("another secret: 0123456789abcdef");
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto jwt = sealcast::parse_jwt(bytes)) sealcast::verify_reader_token(*jwt, key, kNow);

  const std::string token = sealcast::write_hs256(bytes, key);
  const auto jwt = sealcast::parse_jwt(token);
  require(jwt.has_value() == (token.size() <= sealcast::kMaxTokenBytes), "a token that was written is one");
  if (!jwt) return 0;
  require(jwt->payload == bytes, "its claims are what was written");
  require(!sealcast::verify_reader_token(*jwt, other, kNow).token, "another key's token is no good");
  const auto result = sealcast::verify_reader_token(*jwt, key, kNow);
  require(result.token.has_value() == (result.problem == nullptr), "it is good, or it is said why not");
  if (!result.token) return 0;
  require(result.token->expires_at > kNow, "it is not over");
  require(!result.token->topics.empty(), "it names a topic");
  for (const std::string& topic : result.token->topics) {
    require(!topic.empty() && topic.find_first_of("+#") == topic.npos, "topics have no wildcards");
  }
  return 0;
}
