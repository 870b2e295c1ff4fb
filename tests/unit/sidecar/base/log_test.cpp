// Tests that log lines are valid JSON, and that levels below the threshold are not logged.
#include "base/log.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cmath>
#include <functional>
#include <limits>
#include <regex>

namespace sealcast::log {
namespace {

class LogTest : public testing::Test {
 protected:
  void TearDown() override { set_level(Level::info); }

  static std::string captured(const std::function<void()>& action) {
    testing::internal::CaptureStderr();
    action();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, ALineIsOneObjectWithUtcTime) {
  const std::string line = captured([] {
    write(Level::warn, tag::kGate, "hello",
          {{"text", std::string_view("x")}, {"number", std::int64_t{-7}}, {"ratio", 0.5}, {"flag", true}});
  });
  const std::regex shape(
      R"(\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","level":"warn","tag":"\[GATE\]","message":"hello",)"
      R"("text":"x","number":-7,"ratio":0\.5,"flag":true\}\n)");
  EXPECT_TRUE(std::regex_match(line, shape)) << line;
}

TEST_F(LogTest, AnyStringIsEscapedAsJson) {
  const std::string texts[] = {
      "quote \" backslash \\ slash /",          "line\nfeed\r\ttab", std::string("nul\0byte", 8), "\x1b[31m\x7f",
      "snow \xe2\x98\x83 and \xf0\x9f\x98\x80", "\xe2\x80\xa8"};
  for (const std::string& text : texts) {
    const std::string line = captured([&] {
      write(Level::error, tag::kAuth, text, {{"field", std::string_view(text)}});
    });
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << "a log line was split";
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
    simdjson::dom::parser parser;
    const simdjson::dom::object object = parser.parse(line);
    EXPECT_EQ(std::string_view(object["message"]), text);
    EXPECT_EQ(std::string_view(object["field"]), text);
  }
}

TEST_F(LogTest, EachInvalidByteBecomesAReplacementCharacter) {
  const std::pair<std::string, std::string> cases[] = {
      {"a\xffz", "a\uFFFDz"},
      {"\xc0\x80", "\uFFFD\uFFFD"},
      {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xe2\x98", "\uFFFD\uFFFD"},
      {"\xf4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\x80", "\uFFFD"},
  };
  for (const auto& [text, expected] : cases) {
    const std::string line = captured([&] { write(Level::error, tag::kAuth, text); });
    simdjson::dom::parser parser;
    const simdjson::dom::object object = parser.parse(line);
    EXPECT_EQ(std::string_view(object["message"]), expected);
  }
}

TEST_F(LogTest, NumbersThatJsonLacksAreNull) {
  const std::string line = captured([] {
    write(Level::error, tag::kRelay, "m",
          {{"a", std::nan("")},
           {"b", std::numeric_limits<double>::infinity()},
           {"c", std::numeric_limits<std::int64_t>::min()}});
  });
  EXPECT_NE(line.find(R"("a":null,"b":null,"c":-9223372036854775808})"), std::string::npos) << line;
}

TEST_F(LogTest, LevelsBelowTheThresholdAreNotLogged) {
  set_level(Level::warn);
  EXPECT_FALSE(enabled(Level::info));
  EXPECT_EQ(captured([] { write(Level::info, tag::kAuth, "m"); }), "");
  EXPECT_NE(captured([] { write(Level::warn, tag::kAuth, "m"); }), "");
  EXPECT_EQ(level_named("debug"), Level::debug);
  EXPECT_EQ(level_named("loud"), std::nullopt);
}

TEST_F(LogTest, AThrottleAllowsOneMessagePerSecond) {
  Throttle throttle;
  EXPECT_TRUE(throttle.allows());
  EXPECT_FALSE(throttle.allows());
}

}  // namespace
}  // namespace sealcast::log
