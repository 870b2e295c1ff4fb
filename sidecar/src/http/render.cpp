// Renders the head of an answer by appending its lines to one string, without a container of header fields. This is
// fast, because rendering the head is most of the cost of a small answer.
#include "http/render.h"

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <ctime>

#include "core/characters.h"

namespace sealcast::http {

namespace {

// Returns the header line Date (RFC 9110, 5.6.7). It is formatted at most once per second.
std::string_view date_line() {
  static std::time_t formatted = 0;
  static char line[64];
  static std::size_t size = 0;
  std::time_t now = std::time(nullptr);
  if (now != formatted) {
    std::tm utc;
    gmtime_r(&now, &utc);
    size = std::strftime(line, sizeof line, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    formatted = now;
  }
  return {line, size};
}

void append_number(std::string& out, std::size_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// Returns whether the text can be a list of field names, so that it may be sent back in a header field.
bool is_list_of_names(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return core::is_token_character(c) || c == ',' || c == ' '; });
}

constexpr std::string_view kSecurityHeaders =
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n";

}  // namespace

// The header fields that the API reads: a page may always send them.
constexpr std::string_view kOwnHeaders = "Authorization, Content-Type, Last-Event-ID";

Cors::Cors(std::vector<std::string> origins, std::vector<std::string> headers)
    : origins_(std::move(origins)), any_(std::ranges::find(origins_, "*") != origins_.end()) {
  if (std::ranges::find(headers, "*") != headers.end()) return;
  headers_ = kOwnHeaders;
  for (const std::string& header : headers) headers_ += ", " + header;
}

void Cors::append_headers(std::string_view origin, std::string& out) const {
  if (origins_.empty()) return;
  // Also without the field Origin: a cache must not give a page the answer to a request that had none.
  out += "Vary: Origin\r\n";
  const bool allowed = any_ || std::ranges::find(origins_, origin) != origins_.end();
  if (origin.empty() || !allowed) return;
  out += "Access-Control-Allow-Origin: ";
  out += any_ ? "*" : origin;
  out += "\r\nAccess-Control-Expose-Headers: Retry-After, RateLimit, RateLimit-Policy, Idempotency-Replayed\r\n";
}

bool Cors::is_preflight(const Request& request) const {
  return !origins_.empty() && request.method == Method::options && !request.origin.empty() &&
         !request.preflight_method.empty();
}

void Cors::answer_preflight(const Request& request, Response& response) const {
  response.status = 204;
  response.allowed_origins = true;
  response.header("Access-Control-Allow-Methods", "GET, POST");
  if (headers_.empty() && is_list_of_names(request.preflight_headers)) {
    response.header("Access-Control-Allow-Headers", request.preflight_headers);
    response.header("Vary", "Access-Control-Request-Headers");
  } else {
    response.header("Access-Control-Allow-Headers", headers_.empty() ? kOwnHeaders : headers_);
  }
  response.header("Access-Control-Max-Age", "7200");
}

void render_head(const Request& request, const Response& response, const Cors& cors, std::chrono::seconds keep_alive,
                 Framing framing, std::string& out) {
  out = "HTTP/1.1 ";
  append_number(out, static_cast<std::size_t>(response.status));
  out += ' ';
  auto reason = beast::http::obsolete_reason(beast::http::int_to_status(static_cast<unsigned>(response.status)));
  out.append(reason.data(), reason.size());
  out += "\r\n";
  out += date_line();
  if (!response.content_type.empty()) {
    out += "Content-Type: ";
    out += response.content_type;
    out += "\r\n";
  }
  if (framing == Framing::length && response.status != 204) {
    out += "Content-Length: ";
    append_number(out, response.content().size());
    out += "\r\n";
  } else if (framing == Framing::chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  }
  if (keep_alive.count() == 0) {
    out += "Connection: close\r\n";
  } else {
    if (request.version == 10) out += "Connection: keep-alive\r\n";
    // A client that knows the time does not use the connection when the server is about to close it.
    out += "Keep-Alive: timeout=";
    append_number(out, static_cast<std::size_t>(keep_alive.count()));
    out += "\r\n";
  }
  out += kSecurityHeaders;
  out += "Cache-Control: ";
  out += response.cache_control.empty() ? "no-store" : response.cache_control;
  out += "\r\n";
  if (response.any_origin) {
    out += "Access-Control-Allow-Origin: *\r\n";
  } else if (response.allowed_origins) {
    cors.append_headers(request.origin, out);
  }
  out += response.headers;
  out += "\r\n";
}

}  // namespace sealcast::http
