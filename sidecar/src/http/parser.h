// An HTTP/1 parser on top of Boost.Beast. It writes directly into a Request, so it allocates no object per header field
// and no separate body.
#pragma once

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <string>
#include <utility>

#include "http/exchange.h"
#include "http/target.h"

namespace sealcast::http {

class RequestParser final : public beast::http::basic_parser<true> {
 public:
  // simdjson reads up to 64 bytes past the end of a document.
  static constexpr std::size_t kBodyPadding = 64;
  // A larger body gets its memory as it arrives: a client that only announces it makes the server hold nothing.
  static constexpr std::size_t kMaxReserved = 16 * 1024;

  RequestParser(Request& request, std::size_t max_header_bytes, std::size_t max_body_bytes)
      : request_(request), header_bytes_left_(max_header_bytes) {
    eager(true);
    header_limit(static_cast<std::uint32_t>(max_header_bytes));
    body_limit(max_body_bytes);
  }

  // Returns what is wrong with the request, or an empty text if the error code of put() says it.
  std::string_view problem() const { return problem_; }

 private:
  using error_code = beast::error_code;
  using string_view = beast::string_view;

  void on_request_impl(Method method, string_view name, string_view target, int version, error_code& ec) override {
    request_.method = method;
    if (method == Method::unknown) request_.unknown_method.assign(name.data(), name.size());
    request_.version = version;
    if (!assign_target(target, request_.target)) {
      ec = refuse(beast::http::error::bad_target, "its target is neither a path nor an http URL");
    }
  }
  void on_field_impl(beast::http::field name, string_view name_text, string_view value, error_code& ec) override {
    // Fields of a trailer are ignored (RFC 9110, 6.5.1): proxies check only the header.
    if (in_body_) return;
    // Beast applies its own header limit to the bytes of one put() only. A client that sends its fields one by one
    // would never reach that limit, so the bytes of all fields are counted here.
    const std::size_t size = name_text.size() + value.size();
    if (size > header_bytes_left_) {
      ec = beast::http::error::header_limit;
      return;
    }
    header_bytes_left_ -= size;
    std::string* kept = nullptr;
    switch (name) {
      case beast::http::field::host:
        // Proxies route by the field Host, so a request with two Host fields is ambiguous (RFC 9112, 3.2).
        if (std::exchange(has_host_, true)) ec = refuse(beast::http::error::bad_field, "it has two header fields Host");
        if (!is_host(value))
          ec = refuse(beast::http::error::bad_value, "its header field Host is not HOST or HOST:PORT");
        return;
      case beast::http::field::authorization:
        kept = &request_.authorization;
        break;
      case beast::http::field::origin:
        kept = &request_.origin;
        break;
      case beast::http::field::content_type:
        if (std::exchange(has_content_type_, true)) ec = beast::http::error::bad_field;
        request_.has_json = is_json(value);
        return;
      case beast::http::field::access_control_request_method:
        kept = &request_.preflight_method;
        break;
      case beast::http::field::access_control_request_headers:
        kept = &request_.preflight_headers;
        break;
      case beast::http::field::content_encoding:
        request_.has_coding = request_.has_coding || !(value.empty() || beast::iequals(value, "identity"));
        return;
      case beast::http::field::transfer_encoding:
        // Beast ignores a body in any coding other than chunked, and would parse that body as the next request.
        if (!beast::iequals(value, "chunked")) ec = beast::http::error::bad_transfer_encoding;
        return;
      case beast::http::field::expect:
        // A client of HTTP/1.0 does not know the answer 100 (RFC 9110, 10.1.1).
        request_.expects_continue = request_.version >= 11 && beast::iequals(value, "100-continue");
        return;
      default:
        if (name != beast::http::field::unknown) return;
        if (beast::iequals(name_text, "X-Forwarded-For")) return add_forwarded(value);
        if (!beast::iequals(name_text, "Last-Event-ID")) return;
        kept = &request_.last_event_id;
    }
    // A duplicate field is ambiguous, which is dangerous above all for credentials.
    if (!kept->empty()) ec = beast::http::error::bad_field;
    kept->assign(value.data(), value.size());
  }
  // The parameters of the media type do not count: JSON is always UTF-8 (RFC 8259).
  static bool is_json(string_view media_type) {
    string_view name = media_type.substr(0, media_type.find(';'));
    while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
    return beast::iequals(name, "application/json");
  }
  // A proxy may append its own X-Forwarded-For line. All these lines together form one list (RFC 9110, 5.3).
  void add_forwarded(string_view value) {
    std::string& list = request_.forwarded_for;
    if (!list.empty()) list += ',';
    list.append(value.data(), value.size());
  }
  void on_header_impl(error_code& ec) override {
    in_body_ = true;
    if (!has_host_ && request_.version >= 11) ec = refuse(beast::http::error::bad_field, "it has no header field Host");
  }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    request_.body.reserve(std::min<std::uint64_t>(length ? *length : 0, kMaxReserved) + kBodyPadding);
  }
  std::size_t on_body_impl(string_view body, error_code&) override {
    request_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) override {
    return on_body_impl(body, ec);
  }
  void on_finish_impl(error_code&) override { request_.body.reserve(request_.body.size() + kBodyPadding); }
  void on_response_impl(int, string_view, int, error_code&) override {}

  error_code refuse(beast::http::error error, std::string_view problem) {
    problem_ = problem;
    return error;
  }

  Request& request_;
  std::string_view problem_;
  std::size_t header_bytes_left_;
  bool in_body_ = false;
  bool has_host_ = false;
  bool has_content_type_ = false;
};

}  // namespace sealcast::http
