// Tests the body of a request for a token: valid bodies, and the problem that each invalid body gets.
#include "api/token_body.h"

#include <gtest/gtest.h>

namespace sealcast::api {
namespace {

struct Parsed {
  bool fits;
  TokenBody body;
  http::Response response;
};

Parsed parse(const std::string& text) {
  static TokenBodyParser parser;
  Parsed parsed{};
  parsed.fits = parser.parse(text, parsed.body, parsed.response);
  return parsed;
}

TEST(HttpTokenBody, TheMembersMayComeInAnyOrder) {
  Parsed parsed = parse(R"( {"channel":"vip","transport":"m\u0071tt"} )");
  ASSERT_TRUE(parsed.fits) << parsed.response.body;
  EXPECT_EQ(parsed.body.transport, "mqtt");
  EXPECT_EQ(parsed.body.channel, transport::Channel::all_messages);
  parsed = parse(R"({"transport":"ably"})");
  ASSERT_TRUE(parsed.fits) << parsed.response.body;
  EXPECT_EQ(parsed.body.channel, std::nullopt);
}

TEST(HttpTokenBody, AnInvalidBodyIsRefusedWithItsProblem) {
  const std::pair<std::string, const char*> cases[] = {
      {"[]", "must be an object"},
      {"{}", "transport is missing"},
      {R"({"transport":1})", "transport must be a string"},
      {R"({"transport":""})", "transport must be a string"},
      {R"({"transport":")" + std::string(65, 'a') + "\"}", "transport must be a string"},
      {R"({"transport":"ably","transport":"mqtt"})", "transport appears twice"},
      {R"({"transport":"ably","channel":"all"})", "channel must be public or vip"},
      {R"({"transport":"ably","channel":1})", "channel must be public or vip"},
      {R"({"transport":"ably","channel":"vip","channel":"public"})", "channel appears twice"},
      {R"({"transport":"ably","ticket":"a.b.c"})", "the only members are"}};
  for (const auto& [text, problem] : cases) {
    const Parsed parsed = parse(text);
    EXPECT_FALSE(parsed.fits) << text;
    EXPECT_EQ(parsed.response.status, 400);
    EXPECT_EQ(parsed.response.problem, "invalid_request");
    EXPECT_NE(parsed.response.body.find(problem), std::string::npos) << text << ": " << parsed.response.body;
  }
}

TEST(HttpTokenBody, ABodyThatIsNotJsonOrTooLongIsRefused) {
  for (const char* bad : {"{", "transport=ably", "{\"transport\":\"\xff\"}", R"({"transport":"ably"} {})"}) {
    const Parsed parsed = parse(bad);
    EXPECT_FALSE(parsed.fits) << bad;
    EXPECT_EQ(parsed.response.problem, "invalid_json") << bad;
  }
  const Parsed parsed = parse(R"({"transport":"ably"})" + std::string(TokenBodyParser::kMaxBytes, ' '));
  EXPECT_FALSE(parsed.fits);
  EXPECT_EQ(parsed.response.status, 413);
  EXPECT_EQ(parsed.response.problem, "payload_too_large");
}

}  // namespace
}  // namespace sealcast::api
