// Tests the body of send_message: valid bodies, refused bodies, and the problems that the answer names.
#include "api/send_body.h"

#include <gtest/gtest.h>

namespace sealcast::api {
namespace {

constexpr char kStream[] = "0190D000-0000-7000-8000-000000000001";
constexpr char kTxn[] = "0190d000-0000-7000-8000-0000000000F1";

std::string body_of(std::string stream, std::string t, std::string d, std::string txn) {
  return "{\"stream_id\":" + stream + ",\"t\":" + t + ",\"d\":" + d + ",\"txn_id\":" + txn + "}";
}
std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

struct Parsed {
  bool fits;
  SendBody body;
  http::Response response;
  std::string text;
};

// The returned Parsed keeps `text` alive, because the payload `d` points into it.
std::unique_ptr<Parsed> parse(std::string text) {
  static SendBodyParser parser;
  auto parsed = std::make_unique<Parsed>();
  parsed->text = std::move(text);
  parsed->text.reserve(parsed->text.size() + simdjson::SIMDJSON_PADDING);
  parsed->fits = parser.parse(parsed->text, parsed->body, parsed->response);
  return parsed;
}

TEST(HttpSendBody, TheFourMembersMayComeInAnyOrder) {
  auto parsed = parse("  {\"d\" : {\"a\":[1, {\"t\":\"]\"}], \"b\":\"\\u00e9\"} ,\n\"txn_id\":" + in_quotes(kTxn) +
                      ",\"t\":\"ch\\u0061t\",\"stream_id\":" + in_quotes(kStream) + "} ");
  ASSERT_TRUE(parsed->fits) << parsed->response.body;
  EXPECT_EQ(parsed->body.stream_id, "0190d000-0000-7000-8000-000000000001");
  EXPECT_EQ(parsed->body.txn_id, "0190d000-0000-7000-8000-0000000000f1");
  EXPECT_EQ(parsed->body.t, "chat");
  EXPECT_EQ(parsed->body.d.substr(0, parsed->body.d.rfind('}') + 1), "{\"a\":[1, {\"t\":\"]\"}], \"b\":\"\\u00e9\"}");
  EXPECT_EQ(parsed->body.d.data(), parsed->text.data() + parsed->text.find("{\"a\"")) << "the payload was copied";
}

TEST(HttpSendBody, TheAnswerNamesEveryProblem) {
  auto parsed = parse(R"({"stream_id":"x","t":3,"extra":1,"txn_id":null})");
  EXPECT_FALSE(parsed->fits);
  EXPECT_EQ(parsed->response.status, 400);
  EXPECT_EQ(parsed->response.problem, "invalid_request");
  for (auto named : {"stream_id must be a UUID", "t must be a string", "extra is not a member", "txn_id must be a UUID",
                     "d is missing"}) {
    EXPECT_NE(parsed->response.body.find(named), std::string::npos) << named << ": " << parsed->response.body;
  }
}

TEST(HttpSendBody, ALongMemberNameIsCutBetweenCharacters) {
  auto parsed = parse("{\"" + std::string(62, 'a') + "\u20ac\":1}");
  EXPECT_FALSE(parsed->fits);
  EXPECT_NE(parsed->response.body.find(std::string(62, 'a') + " is not a member"), std::string::npos)
      << parsed->response.body;
}

TEST(HttpSendBody, ADuplicateMemberIsRefused) {
  auto parsed = parse("{\"t\":\"a\"," + body_of(in_quotes(kStream), "\"b\"", "{}", in_quotes(kTxn)).substr(1));
  EXPECT_FALSE(parsed->fits);
  EXPECT_NE(parsed->response.body.find("t appears twice"), std::string::npos) << parsed->response.body;
}

TEST(HttpSendBody, ABodyThatIsNotJsonIsRefused) {
  std::string good = body_of(in_quotes(kStream), "\"chat\"", "{}", in_quotes(kTxn));
  std::string bodies[] = {"",
                          " ",
                          "{",
                          good.substr(0, good.size() - 1),
                          good + "x",
                          good + good,
                          "\xef\xbb\xbf" + good,
                          good.substr(0, 20) + "\xff" + good.substr(20),
                          std::string(good).insert(30, 1, '\0'),
                          "{'stream_id':1}",
                          std::string(1'000'000, '['),
                          body_of(in_quotes(kStream), "\"\\ud800\"", "{}", in_quotes(kTxn)),
                          body_of(in_quotes(kStream), "\"chat\"", "tru", in_quotes(kTxn))};
  for (const std::string& body : bodies) {
    auto parsed = parse(body);
    EXPECT_FALSE(parsed->fits) << body.substr(0, 80);
    EXPECT_EQ(parsed->response.status, 400);
  }
  for (const std::string& body : std::vector<std::string>(bodies, bodies + 11)) {
    EXPECT_EQ(parse(body)->response.problem, "invalid_json") << body.substr(0, 80);
  }
}

TEST(HttpSendBody, ATruncatedBodyIsRefused) {
  const std::string good = body_of(in_quotes(kStream), "\"chat\"", "{\"a\":[\"x\",{}]}", in_quotes(kTxn));
  for (std::size_t size = 0; size < good.size(); ++size) {
    auto parsed = parse(good.substr(0, size));
    EXPECT_FALSE(parsed->fits) << size;
    EXPECT_EQ(parsed->response.problem, "invalid_json") << size;
  }
}

TEST(HttpSendBody, JsonThatIsNotARequestGetsInvalidRequest) {
  for (const char* body : {"null", "[]", "\"x\"", "1", " true "}) {
    auto parsed = parse(body);
    EXPECT_FALSE(parsed->fits);
    EXPECT_EQ(parsed->response.problem, "invalid_request") << body << parsed->response.body;
    EXPECT_NE(parsed->response.body.find("the body must be an object"), std::string::npos) << parsed->response.body;
  }
  for (const char* d : {"null", "[]", "\"x\"", "1"}) {
    auto parsed = parse(body_of(in_quotes(kStream), "\"chat\"", d, in_quotes(kTxn)));
    EXPECT_FALSE(parsed->fits);
    EXPECT_NE(parsed->response.body.find("d must be an object"), std::string::npos) << parsed->response.body;
  }
}

TEST(HttpSendBody, TextThatPostgresCannotStoreIsRefused) {
  EXPECT_TRUE(is_storable("grüß 🎈"));
  EXPECT_FALSE(is_storable(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_storable("\xed\xa0\x80"));
  EXPECT_FALSE(parse(body_of(in_quotes(kStream), "\"a\\u0000\"", "{}", in_quotes(kTxn)))->fits);
  EXPECT_FALSE(parse(body_of(in_quotes(kStream), in_quotes(std::string(65, 'a')), "{}", in_quotes(kTxn)))->fits);
}

}  // namespace
}  // namespace sealcast::api
