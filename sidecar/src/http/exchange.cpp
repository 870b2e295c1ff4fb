// Reads parameters of requests, and writes JSON answers and errors with their Retry-After header.
#include "http/exchange.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"

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

}  // namespace

void Request::clear() {
  method = Method::unknown;
  version = 11;
  keep_alive = true;
  expects_continue = false;
  for (auto* text : {&target, &body, &authorization, &origin, &last_event_id, &preflight_method, &forwarded_for}) {
    text->clear();
  }
}

std::string Request::parameter(std::string_view name) const {
  std::size_t question = target.find('?');
  if (question == target.npos) return {};
  std::string_view query = std::string_view(target).substr(question + 1);
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    std::size_t equals = pair.find('=');
    if (equals != pair.npos && pair.substr(0, equals) == name) return decode(pair.substr(equals + 1));
  }
  return {};
}

void Response::clear() {
  status = 200;
  problem = {};
  content_type = {};
  cache_control = {};
  headers.clear();
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
    // Rounded up to whole seconds, so that no client retries too early.
    response.header("Retry-After", std::to_string((problem.retry_after.count() + 999) / 1000));
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
