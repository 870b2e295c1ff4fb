// Tests the body of a heartbeat: valid bodies, and the problem that each invalid body gets.
#include "api/heartbeat_body.h"

#include <gtest/gtest.h>

namespace sealcast::api {
namespace {

// Returns the viewer_id, or the body of the error answer.
std::string read(const std::string& body) {
  static HeartbeatBodyParser parser;
  std::string viewer_id;
  http::Response response;
  return parser.parse(body, viewer_id, response) ? viewer_id : response.body;
}

TEST(HttpHeartbeatBody, TheViewerIsOptional) {
  EXPECT_EQ(read(R"({"viewer_id":"a \u00e9"})"), "a é");
  EXPECT_EQ(read("{}"), "");
  EXPECT_EQ(read(""), "");
}

TEST(HttpHeartbeatBody, AnInvalidBodyIsRefusedWithItsProblem) {
  const std::pair<std::string, const char*> cases[] = {
      {"{", "invalid_json"},
      {"[]", "must be an object"},
      {R"({"viewer":"a"})", "the only member"},
      {R"({"viewer_id":1})", "must be a string of 1 to 128 bytes"},
      {R"({"viewer_id":""})", "must be a string of 1 to 128 bytes"},
      {R"({"viewer_id":"\n"})", "without control characters"},
      {R"({"viewer_id":")" + std::string(129, 'a') + "\"}", "must be a string of 1 to 128 bytes"},
      {R"({"viewer_id":"a","viewer_id":"b"})", "viewer_id appears twice"}};
  for (const auto& [body, problem] : cases)
    EXPECT_NE(read(body).find(problem), std::string::npos) << body << read(body);
}

}  // namespace
}  // namespace sealcast::api
