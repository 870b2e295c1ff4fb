// Takes the members out of the body.
#include "api/token_body.h"

#include "core/token/jwt.h"

namespace sealcast::api {

namespace {

constexpr std::size_t kMaxTransport = 64;

// What is wrong with the member; empty when nothing is.
std::string_view read_member(std::string_view name, const simdjson::dom::element& value, TokenBody& out) {
  std::string_view text;
  const bool is_text = value.get(text) == simdjson::SUCCESS;
  if (name == "transport") {
    if (!out.transport.empty()) return "transport stands twice";
    if (!is_text || text.empty() || text.size() > kMaxTransport) return "transport must be a string of 1 to 64 bytes";
    out.transport = text;
  } else if (name == "ticket") {
    if (!out.ticket.empty()) return "ticket stands twice";
    if (!is_text || text.empty() || text.size() > core::token::kMaxTokenBytes)
      return "ticket must be a string of 1 to 8192 bytes";
    out.ticket = text;
  } else if (name == "channel") {
    if (out.channel) return "channel stands twice";
    out.channel = is_text ? transport::channel_named(text) : std::nullopt;
    if (!out.channel) return "channel is public or vip";
  } else {
    return "it has a member that is none of transport, ticket and channel";
  }
  return {};
}

}  // namespace

bool TokenBodyParser::parse(const std::string& body, TokenBody& out, http::Response& response) {
  const auto unusable = [&](std::string_view details) {
    http::answer_problem(response, {400, "invalid_request", "the request body does not fit", details,
                                    R"(Send {"transport": "…"}, with a "ticket" or a "channel" where one is needed.)"});
    return false;
  };
  if (body.size() > kMaxBytes) {
    http::answer_problem(response, {413, "payload_too_large", "the request body is over 16384 bytes"});
    return false;
  }
  simdjson::dom::element root;
  if (const auto error = parser_.parse(body).get(root)) {
    http::answer_problem(response, {400, "invalid_json", "the request body is not JSON", simdjson::error_message(error),
                                    "Send a JSON text in UTF-8 (RFC 8259)."});
    return false;
  }
  simdjson::dom::object object;
  if (root.get(object)) return unusable("the body must be an object");
  for (const auto [name, value] : object) {
    if (const std::string_view problem = read_member(name, value, out); !problem.empty()) return unusable(problem);
  }
  if (out.transport.empty()) return unusable("transport is missing");
  return true;
}

}  // namespace sealcast::api
