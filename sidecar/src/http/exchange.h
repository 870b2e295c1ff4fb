// One request and its answer. A connection keeps a few and uses them again, with the memory they have.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/verb.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/asio.h"

namespace sealcast::http {
namespace beast = boost::beast;

using Method = beast::http::verb;

struct Request {
  Method method = Method::unknown;
  int version = 11;  // 10 or 11
  bool keep_alive = true;
  bool expects_continue = false;
  std::string target;
  std::string body;  // with room behind it for simdjson to read past the end
  // Of the header, what anything here asks for.
  std::string authorization;
  std::string origin;
  std::string last_event_id;
  std::string preflight_method;  // Access-Control-Request-Method
  std::string forwarded_for;     // X-Forwarded-For, all of them in order
  Address peer;
  std::chrono::steady_clock::time_point received;

  void clear();
  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  // The decoded value of a query parameter; empty when it is absent.
  std::string parameter(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string_view problem;  // the code of a refusal; a literal, or of `storage`
  std::string_view content_type;
  std::string_view cache_control;  // empty: no-store
  std::string headers;             // further lines, each with its CRLF
  bool any_origin = false;         // pages of every origin may read it, whatever http.cors_origins says
  std::string body;
  // Sent instead of `body`, when set; belongs to `storage`.
  std::string_view shared_body;
  std::shared_ptr<const void> storage;
  // Takes the socket over once everything before is sent; `head` is the rendered status line and header.
  std::function<void(asio::ip::tcp::socket, std::string head)> upgrade;

  void clear();
  std::string_view content() const { return shared_body.empty() ? std::string_view(body) : shared_body; }
  void header(std::string_view name, std::string_view value);
};

struct Exchange {
  Request request;
  Response response;
  std::string head;  // rendered when the answer is there
  bool done = false;
};

// {"code","message","details","hint"} and its status. `retry_after` zero: no such header.
struct Problem {
  int status;
  std::string_view code;
  std::string_view message;
  std::string_view details{};
  std::string_view hint{};
  std::chrono::milliseconds retry_after{0};
};

inline constexpr std::string_view kJson = "application/json";

void answer_json(Response& response, std::string body);
void answer_problem(Response& response, const Problem& problem);
void append_json_string(std::string_view text, std::string& out);

}  // namespace sealcast::http
