// Reads parameters of requests, and writes JSON answers and errors with their Retry-After header.
#include "http/exchange.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "base/json.h"
#include "core/characters.h"
#include "core/retry_headers.h"

namespace sealcast::http {

namespace {

// Returns the value of a hex digit, or -1 if `c` is not a hex digit.
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(high << 4 | low);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string_view query_of(std::string_view target) {
  const std::size_t question = target.find('?');
  return question == target.npos ? std::string_view() : target.substr(question + 1);
}

// Removes the next parameter from the query, and returns its name and its value, which are not decoded.
std::pair<std::string_view, std::string_view> next_parameter(std::string_view& query) {
  const std::string_view pair = query.substr(0, query.find('&'));
  query.remove_prefix(std::min(query.size(), pair.size() + 1));
  const std::size_t equals = std::min(pair.find('='), pair.size());
  return {pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size()))};
}

// Returns a name for an error: a long or strange one is not repeated.
std::string shown(std::string_view name) {
  const bool plain = name.size() <= 64 && std::ranges::all_of(name, [](char c) {
                       return core::is_alphanumeric(c) || c == '_' || c == '-' || c == '.';
                     });
  return plain ? std::string(name) : "a parameter";
}

}  // namespace

void Request::clear() {
  method = Method::unknown;
  version = 11;
  keep_alive = true;
  expects_continue = false;
  has_json = false;
  has_coding = false;
  for (auto* text : {&unknown_method, &target, &body, &authorization, &origin, &last_event_id, &preflight_method,
                     &preflight_headers, &forwarded_for}) {
    text->clear();
  }
}

std::size_t Request::memory() const {
  std::size_t bytes = 0;
  for (const auto* text : {&unknown_method, &target, &body, &authorization, &origin, &last_event_id, &preflight_method,
                           &preflight_headers, &forwarded_for}) {
    bytes += text->capacity();
  }
  return bytes;
}

std::string Request::parameter(std::string_view name) const {
  std::string_view query = query_of(target);
  while (!query.empty()) {
    const auto [found, value] = next_parameter(query);
    if (found == name) return decode(value);
  }
  return {};
}

std::string Request::parameters_problem(std::span<const std::string_view> known) const {
  std::string_view query = query_of(target);
  std::vector<std::string_view> seen;
  while (!query.empty()) {
    const std::string_view name = next_parameter(query).first;
    if (name.empty()) continue;  // "&&", or "?" at the end
    if (std::ranges::find(known, name) == known.end()) return shown(name) + " is unknown";
    if (std::ranges::find(seen, name) != seen.end()) return shown(name) + " stands twice";
    seen.push_back(name);
  }
  return {};
}

void Response::clear() {
  status = 200;
  problem = {};
  content_type = {};
  cache_control = {};
  headers.clear();
  allowed_origins = false;
  any_origin = false;
  body.clear();
  shared_body = {};
  storage.reset();
  upgrade = nullptr;
}

void Response::header(std::string_view name, std::string_view value) {
  headers += name;
  headers += ": ";
  headers += value;
  headers += "\r\n";
}

void answer_json(Response& response, std::string body) {
  response.content_type = kJson;
  response.body = std::move(body);
}

void answer_problem(Response& response, const Problem& problem) {
  response.status = problem.status;
  response.problem = problem.code;
  response.content_type = kJson;
  response.body.clear();
  JsonObject(response.body)
      .text("code", problem.code)
      .text_or_null("message", problem.message)
      .text_or_null("details", problem.details)
      .text_or_null("hint", problem.hint)
      .end();
  if (problem.retry_after.count() > 0) {
    response.header("Retry-After", core::HeaderValue::retry_after(problem.retry_after.count()).c_str());
  }
  if (problem.status == 401) response.header("WWW-Authenticate", "Bearer");
}

void answer_not_found(Response& response) {
  answer_problem(response, {404, "not_found", "there is no route or file at this path", {}, kSeeRoutes});
}

bool read_whole_number(std::string_view name, std::string_view text, std::int64_t min, std::int64_t max,
                       std::optional<std::int64_t>& out, Response& response) {
  if (text.empty()) return true;
  std::int64_t value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec == std::errc() && end == text.data() + text.size() && value >= min && value <= max) {
    out = value;
    return true;
  }
  std::string details =
      std::string(name) + " must be a whole number, " + std::to_string(min) + " to " + std::to_string(max);
  answer_problem(response, {400, "invalid_request", "a parameter is not valid", details,
                            "Correct the parameter, or leave it out."});
  return false;
}

}  // namespace sealcast::http
