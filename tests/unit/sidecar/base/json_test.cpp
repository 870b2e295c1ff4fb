// Tests the JSON that is written for responses and log lines.
#include "base/json.h"

#include <gtest/gtest.h>

#include <limits>

namespace sealcast {
namespace {

TEST(JsonTest, AnObjectHasItsMembersInTheOrderOfTheCalls) {
  std::string out = "x";
  JsonObject(out)
      .text("text", "a\"\\\n\x01\x7f")
      .text_or_null("empty", "")
      .number("whole", std::int64_t{-7})
      .number("real", 0.5)
      .number("infinite", std::numeric_limits<double>::infinity())
      .boolean("yes", true)
      .json("list", "[1]")
      .end();
  EXPECT_EQ(out, R"(x{"text":"a\"\\\n\u0001\u007f","empty":null,"whole":-7,"real":0.5,"infinite":null,"yes":true,)"
                 R"("list":[1]})");
}

TEST(JsonTest, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  std::string out;
  append_json_string("\xc3\xa4\xc3|\xed\xa0\x80", out);
  EXPECT_EQ(out, "\"\xc3\xa4\uFFFD|\uFFFD\uFFFD\uFFFD\"");
}

}  // namespace
}  // namespace sealcast
