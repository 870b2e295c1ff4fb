// Parses the body of POST /streams/{id}/token.
#include "api/token_body.h"

namespace sealcast::api {

namespace {

constexpr std::size_t kMaxTransport = 64;

// Stores the value of the member `name` in `out`. Returns the member's problem, or an empty string if it is valid.
std::string_view read_member(std::string_view name, const simdjson::dom::element& value, TokenBody& out) {
  std::string_view text;
  const bool is_text = value.get(text) == simdjson::SUCCESS;
  if (name == "transport") {
    if (!out.transport.empty()) return "transport appears twice";
    if (!is_text || text.empty() || text.size() > kMaxTransport) return "transport must be a string of 1 to 64 bytes";
    out.transport = text;
  } else if (name == "channel") {
    if (out.channel) return "channel appears twice";
    out.channel = is_text ? transport::channel_named(text) : std::nullopt;
    if (!out.channel) return "channel must be public or vip";
  } else {
    return "the only members are transport and channel";
  }
  return {};
}

}  // namespace

bool TokenBodyParser::parse(const std::string& body, TokenBody& out, http::Response& response) {
  const auto refuse = [&](std::string_view details) {
    http::answer_problem(response, {400, "invalid_request", "the request body is not valid", details,
                                    R"(Send {"transport": "…"}; "channel" is optional.)"});
    return false;
  };
  if (body.size() > kMaxBytes) {
    http::answer_problem(response, {413, "payload_too_large", "the request body has more than 16384 bytes"});
    return false;
  }
  simdjson::dom::element root;
  if (const auto error = parser_.parse(body).get(root)) {
    http::answer_problem(response, {400, "invalid_json", "the request body is not JSON", simdjson::error_message(error),
                                    "Send a JSON text in UTF-8 (RFC 8259)."});
    return false;
  }
  simdjson::dom::object object;
  if (root.get(object)) return refuse("the body must be an object");
  for (const auto [name, value] : object) {
    if (const std::string_view problem = read_member(name, value, out); !problem.empty()) return refuse(problem);
  }
  if (out.transport.empty()) return refuse("transport is missing");
  return true;
}

}  // namespace sealcast::api
