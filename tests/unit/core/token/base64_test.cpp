// Tests base64 and base64url with known answers, and checks that each byte string has only one accepted text.
#include "core/token/base64.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace sealcast::core::token {
namespace {

TEST(Base64Test, KnownAnswers) {  // RFC 4648 §10
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"\xfb\xff", "+/8="}};
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(encode_base64(bytes), text);
    std::string decoded;
    EXPECT_TRUE(decode_base64(text, decoded)) << text;
    EXPECT_EQ(decoded, bytes);
  }
}

TEST(Base64Test, OtherTextsAreRefused) {
  std::string decoded;
  for (const char* bad : {"A", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Zg==\n", " Zg==", "Zm-v", "Zm_v",
                          "Z===", "====", "=", "Z=g=", "Zm9vA==="}) {
    EXPECT_FALSE(decode_base64(bad, decoded)) << bad;
  }
}

TEST(Base64UrlTest, KnownAnswers) {  // RFC 4648 §10, without padding
  const std::pair<const char*, const char*> cases[] = {{"", ""},           {"f", "Zg"},        {"fo", "Zm8"},
                                                       {"foo", "Zm9v"},    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"},
                                                       {"\xfb\xff", "-_8"}};
  for (const auto& [bytes, text] : cases) {
    std::string encoded;
    append_base64url(bytes, encoded);
    EXPECT_EQ(encoded, text);
    std::string decoded;
    EXPECT_TRUE(decode_base64url(text, decoded));
    EXPECT_EQ(decoded, bytes);
  }
}

TEST(Base64UrlTest, OtherTextsAreRefused) {
  std::string decoded;
  for (const char* bad : {"A", "Zh", "Zm9", "Zg==", "Zm+v", "Zm/v", "Zm 9", "Zm9vA"}) {
    EXPECT_FALSE(decode_base64url(bad, decoded)) << bad;
  }
}

}  // namespace
}  // namespace sealcast::core::token
