// Reads the viewer's id from the body of a heartbeat.
#include "api/heartbeat_body.h"

#include <algorithm>

namespace sealcast::api {

namespace {

constexpr std::size_t kMaxViewerId = 128;

bool is_viewer_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxViewerId &&
         std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

bool HeartbeatBodyParser::parse(const std::string& body, std::string& viewer_id, http::Response& response) {
  viewer_id.clear();
  if (body.empty()) return true;
  simdjson::dom::element root;
  if (const auto error = parser_.parse(body).get(root)) {
    http::answer_problem(response, {400, "invalid_json", "the request body is not JSON", simdjson::error_message(error),
                                    "Send a JSON text in UTF-8 (RFC 8259)."});
    return false;
  }
  const auto refuse = [&](std::string_view details) {
    http::answer_problem(response, {400, "invalid_request", "the request body is not valid", details, kHint});
    return false;
  };
  simdjson::dom::object object;
  if (root.get(object)) return refuse("the body must be an object");
  for (const auto [name, value] : object) {
    if (name != "viewer_id") return refuse("viewer_id must be the only member");
    if (!viewer_id.empty()) return refuse("viewer_id appears twice");
    std::string_view text;
    if (value.get(text) || !is_viewer_id(text)) {
      return refuse("viewer_id must be a string of 1 to 128 bytes without control characters");
    }
    viewer_id = text;
  }
  return true;
}

}  // namespace sealcast::api
