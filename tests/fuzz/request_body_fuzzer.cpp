// Interprets the input as the bodies of requests. Each parser must refuse a body with a JSON response, or parse it
// without losing a part of it. The bytes in memory after a body must have no effect.
#include <optional>
#include <string>

#include "api/heartbeat_body.h"
#include "api/send_body.h"
#include "api/token_body.h"
#include "base/json.h"
#include "core/canonical_json.h"
#include "core/error.h"
#include "core/token/jwt.h"
#include "core/uuid.h"
#include "fuzz.h"
#include "http/parser.h"

namespace sealcast::fuzz {
namespace {

std::optional<std::string> canonical(std::string_view json) {
  std::string form;
  try {
    core::canonicalize(json, form);
    return form;
  } catch (const core::Error&) {
    return std::nullopt;
  }
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return text;
}

// Adds the padding that the server allocates after a body for simdjson. In the server the padding may contain bytes of
// an earlier body; here it contains `leftover`.
std::string padded(std::string_view bytes, char leftover) {
  std::string body(bytes);
  body.append(http::RequestParser::kBodyPadding, leftover);
  body.resize(bytes.size());
  return body;
}

void require_refusal(const http::Response& response) {
  require(response.status == 400 || response.status == 413, "a refused body gets 400 or 413");
  require(canonical(response.body).has_value(), "the response is JSON");
}

void check_send(std::string_view bytes) {
  static api::SendBodyParser parser;
  const std::string body = padded(bytes, '"');
  api::SendBody out;
  http::Response response;
  const bool fits = parser.parse(body, out, response);
  for (const char leftover : {'\0', '}', '1'}) {
    const std::string again = padded(bytes, leftover);
    api::SendBody other;
    http::Response to_other;
    require(parser.parse(again, other, to_other) == fits && to_other.body == response.body,
            "bytes after a body do not change the result");
    if (fits) {
      require(other.stream_id == out.stream_id && other.txn_id == out.txn_id && other.t == out.t && other.d == out.d,
              "bytes after a body are not part of it");
    }
  }
  const auto form = canonical(bytes);
  if (!fits) {
    require_refusal(response);
    require(!form || response.problem != "invalid_json", "valid JSON is not refused as invalid_json");
    return;
  }
  std::string id;
  require(core::normalize_uuid(out.stream_id, id) && id == out.stream_id, "the stream is a UUID in lower case");
  require(core::normalize_uuid(out.txn_id, id) && id == out.txn_id, "the txn_id is a UUID in lower case");
  require(!out.t.empty() && out.t.size() <= 64 && api::is_storable(out.t), "the type can be stored");
  require(out.d.data() >= body.data() && out.d.data() + out.d.size() <= body.data() + body.size(),
          "the payload is a part of the body");
  require(out.d.starts_with('{') && api::is_storable(out.d), "the payload begins an object, and Postgres can store it");
  if (!form) {
    require(!canonical(out.d), "an accepted body is JSON, except for the payload, which Postgres checks");
    return;
  }
  std::string rewritten = R"({"stream_id":")" + out.stream_id + R"(","txn_id":")" + out.txn_id + R"(","t":)";
  append_json_string(out.t, rewritten);
  rewritten.append(R"(,"d":)").append(out.d).append("}");
  require(lower(canonical(rewritten).value_or("")) == lower(*form), "the parsed members, written again, are the body");
}

void check_token(const std::string& body) {
  static api::TokenBodyParser parser;
  api::TokenBody out;
  http::Response response;
  if (!parser.parse(body, out, response)) return require_refusal(response);
  require(canonical(body).has_value(), "an accepted body is JSON");
  require(!out.transport.empty() && out.transport.size() <= 64, "a transport has 1 to 64 bytes");
}

void check_heartbeat(const std::string& body) {
  static api::HeartbeatBodyParser parser;
  std::string viewer_id;
  http::Response response;
  if (!parser.parse(body, viewer_id, response)) return require_refusal(response);
  require(body.empty() || canonical(body).has_value(), "an accepted body is JSON");
  require(viewer_id.size() <= 128 && is_one_line(viewer_id), "a viewer id is one short line");
}

}  // namespace

void check(std::string_view bytes) {
  check_send(bytes);
  check_token(padded(bytes, '"'));
  check_heartbeat(padded(bytes, '"'));
}

}  // namespace sealcast::fuzz
