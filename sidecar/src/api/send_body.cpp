// Parses the body of POST /rpc/send_message, without copying the payload.
#include "api/send_body.h"

#include <algorithm>
#include <cstring>

#include "core/canonical_json.h"
#include "core/error.h"
#include "core/uuid.h"

namespace sealcast::api {

namespace {

using simdjson::error_code;

constexpr std::size_t kMaxTypeBytes = 64;

enum Member : unsigned { kStreamId = 1, kType = 2, kPayload = 4, kTxnId = 8 };

struct Problems {
  std::string text;
  void add(std::string_view member, std::string_view problem) {
    if (!text.empty()) text += "; ";
    text += member;
    text += ' ';
    text += problem;
  }
};

// Returns at most the first 64 bytes of `name`. The cut never splits a UTF-8 character.
std::string_view shortened(std::string_view name) {
  std::size_t size = std::min<std::size_t>(name.size(), 64);
  while (size < name.size() && (name[size] & 0xC0) == 0x80) --size;
  return name.substr(0, size);
}

void read_string(simdjson::ondemand::value value, std::string_view name, std::string& out, Problems& problems) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) return problems.add(name, "must be a string");
  out = text;
}

void read_uuid(simdjson::ondemand::value value, std::string_view name, std::string& out, Problems& problems) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS || !core::normalize_uuid(text, out)) {
    problems.add(name, "must be a UUID, 8-4-4-4-12 hex digits");
  }
}

error_code read_object(simdjson::ondemand::document& document, SendBody& out, Problems& problems) {
  simdjson::ondemand::object object;
  if (error_code error = document.get_object().get(object)) return error;
  unsigned seen = 0;
  for (auto field : object) {
    std::string_view key;
    if (error_code error = field.unescaped_key().get(key)) return error;
    simdjson::ondemand::value value;
    if (error_code error = field.value().get(value)) return error;
    unsigned member = key == "stream_id" ? kStreamId
                      : key == "t"       ? kType
                      : key == "d"       ? kPayload
                      : key == "txn_id"  ? kTxnId
                                         : 0u;
    if (member == 0) {
      problems.add(shortened(key), "is not a member of this request");
    } else if (seen & member) {
      problems.add(key, "appears twice");
    } else if (member == kStreamId) {
      read_uuid(value, key, out.stream_id, problems);
    } else if (member == kTxnId) {
      read_uuid(value, key, out.txn_id, problems);
    } else if (member == kType) {
      read_string(value, key, out.t, problems);
      if (out.t.empty() || out.t.size() > kMaxTypeBytes || out.t.find('\0') != out.t.npos) {
        problems.add(key, "must be 1 to 64 bytes without NUL");
      }
    } else {
      simdjson::ondemand::object payload;
      if (error_code error = value.get_object().get(payload)) return error;
      if (error_code error = payload.raw_json().get(out.d)) return error;
    }
    seen |= member;
  }
  for (auto [member, name] : {std::pair{kStreamId, "stream_id"}, {kType, "t"}, {kPayload, "d"}, {kTxnId, "txn_id"}}) {
    if (!(seen & member)) problems.add(name, "is missing");
  }
  return document.current_location().error() ? simdjson::SUCCESS : simdjson::TRAILING_CONTENT;
}

// Returns whether the body is JSON. Called after a value had the wrong type: if the body is JSON, the answer is
// invalid_request instead of invalid_json.
bool is_json(std::string_view body) {
  std::string canonical;
  try {
    core::canonicalize(body, canonical);
    return true;
  } catch (const core::Error&) {
    return false;
  }
}

void refuse_json(http::Response& response, std::string_view details) {
  http::answer_problem(response, {400, "invalid_json", "the request body is not JSON", details,
                                  "Send a JSON text in UTF-8 (RFC 8259)."});
}

}  // namespace

bool is_storable(std::string_view text) {
  return std::memchr(text.data(), 0, text.size()) == nullptr && simdjson::validate_utf8(text.data(), text.size());
}

bool SendBodyParser::parse(const std::string& body, SendBody& out, http::Response& response) {
  if (const void* nul = body.empty() ? nullptr : std::memchr(body.data(), 0, body.size())) {
    auto at = static_cast<const char*>(nul) - body.data();
    refuse_json(response, "a NUL byte at offset " + std::to_string(at));
    return false;
  }
  simdjson::ondemand::document document;
  Problems problems;
  // iterate() checks that the body is UTF-8.
  error_code error =
      parser_.iterate(simdjson::padded_string_view(body.data(), body.size(), body.capacity())).get(document);
  // If iterate() failed, for example because of an unclosed string, current_location() must not be called.
  const bool parsed = !error;
  if (parsed) error = read_object(document, out, problems);
  if (error == simdjson::INCORRECT_TYPE && is_json(body)) {
    problems.add(body[body.find_first_not_of(" \t\r\n")] == '{' ? "d" : "the body", "must be an object");
    error = simdjson::SUCCESS;
  }
  if (error) {
    std::string details = simdjson::error_message(error);
    const char* at = nullptr;
    if (parsed && !document.current_location().get(at) && at) {
      details += " At or before byte " + std::to_string(at - body.data()) + ".";
    }
    refuse_json(response, details);
    return false;
  }
  if (!problems.text.empty()) {
    http::answer_problem(response, {400, "invalid_request", "the request body is not valid", problems.text,
                                    R"(Send {"stream_id", "t", "d", "txn_id"}.)"});
    return false;
  }
  return true;
}

}  // namespace sealcast::api
