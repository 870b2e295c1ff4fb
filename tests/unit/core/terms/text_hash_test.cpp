// Tests which messages have the same text.
#include "core/terms/text_hash.h"

#include <gtest/gtest.h>

namespace sealcast::core::terms {
namespace {

std::string hash(std::string_view canonical, std::string_view t = "chat") {
  static TextHasher hasher;
  return hasher.hash(canonical, t);
}

TEST(TextHash, IsThatOfTheFoldedText) {
  const std::string hello = hash(R"({"content":"hello world"})");
  EXPECT_EQ(hello.size(), kTextHash);
  for (const char* same :
       {R"({"content":"HELLO   World"})", "{\"content\":\"h\u200bello w\u043erld \"}", R"({"x":"helloworld"})",
        R"({"content":"hello world","id":"0190d000-0000-7000-8000-000000000001","n":7,"type":"chat"})",
        R"({"content":"hello world","user_role":"vip"})"}) {
    EXPECT_EQ(hash(same), hello) << same;
  }
  for (const char* other : {R"({"content":"hello world!"})", R"({"content":"hello","x":"world"})",
                            R"({"content":"hello world","type":"shout"})"}) {
    EXPECT_NE(hash(other), hello) << other;
  }
}

TEST(TextHash, AShortTextHasNone) {
  for (const char* text : {"{}", R"({"n":1})", R"({"content":""})", R"({"content":"gg"})", R"({"content":"lol lol"})",
                           "{\"content\":\"\u2764\ufe0f\"}", R"({"content":"         "})"}) {
    EXPECT_EQ(hash(text), "") << text;
  }
  EXPECT_EQ(hash(R"({"content":"1234567"})"), "");
  EXPECT_NE(hash(R"({"content":"12345678"})"), "");
}

}  // namespace
}  // namespace sealcast::core::terms
