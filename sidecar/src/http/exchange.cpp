// What requests and answers can do by themselves.
#include "http/exchange.h"

#include <algorithm>

namespace sealcast::http {

namespace {

// -1 when `c` is no hex digit.
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

void append_json_string(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void answer_json(Response& response, std::string body) {
  response.content_type = kJson;
  response.body = std::move(body);
}

void answer_problem(Response& response, const Problem& problem) {
  response.status = problem.status;
  response.problem = problem.code;
  response.content_type = kJson;
  std::string& body = response.body;
  body = "{\"code\":";
  append_json_string(problem.code, body);
  for (auto [name, text] :
       {std::pair{"message", problem.message}, {"details", problem.details}, {"hint", problem.hint}}) {
    body += ",\"";
    body += name;
    body += "\":";
    if (text.empty()) {
      body += "null";
    } else {
      append_json_string(text, body);
    }
  }
  body += '}';
  if (problem.retry_after.count() > 0) {
    // Whole seconds, never too early.
    response.header("Retry-After", std::to_string((problem.retry_after.count() + 999) / 1000));
  }
  if (problem.status == 401) response.header("WWW-Authenticate", "Bearer");
}

}  // namespace sealcast::http
