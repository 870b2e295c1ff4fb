// base64url without padding, as tokens have it: one text for each value.
#include "core/token/base64url.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "support/tokens.h"

namespace sealcast::core::token {
namespace {

using test::base64url;

TEST(Base64UrlTest, KnownAnswers) {  // RFC 4648 §10, without padding
  const std::pair<const char*, const char*> cases[] = {{"", ""},           {"f", "Zg"},        {"fo", "Zm8"},
                                                       {"foo", "Zm9v"},    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"},
                                                       {"\xfb\xff", "-_8"}};
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(test::base64url(bytes), text);
    std::string decoded;
    EXPECT_TRUE(decode_base64url(text, decoded));
    EXPECT_EQ(decoded, bytes);
  }
  std::string decoded;
  for (const char* bad : {"A", "Zh", "Zm9", "Zg==", "Zm+v", "Zm/v", "Zm 9", "Zm9vA"}) {
    EXPECT_FALSE(decode_base64url(bad, decoded)) << bad;
  }
}

}  // namespace
}  // namespace sealcast::core::token
