// One request and its answer. A connection reuses a few of these objects, so that their memory is allocated once.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/verb.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
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
  bool has_json = false;       // Content-Type is application/json
  bool has_coding = false;     // Content-Encoding is neither empty nor identity
  std::string unknown_method;  // the name, if `method` is unknown
  std::string target;
  std::string body;  // has RequestParser::kBodyPadding spare bytes of capacity, because simdjson reads past the end
  // The header fields that the sidecar uses.
  std::string authorization;
  std::string origin;
  std::string last_event_id;
  std::string preflight_method;   // Access-Control-Request-Method
  std::string preflight_headers;  // Access-Control-Request-Headers
  std::string forwarded_for;      // X-Forwarded-For, all lines joined by commas
  Address peer;
  std::chrono::steady_clock::time_point received;

  void clear();
  std::size_t memory() const;  // of its texts, in bytes
  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  // Returns the decoded value of a query parameter, or an empty string without the parameter.
  std::string parameter(std::string_view name) const;
  // Returns what is wrong with the names of the query parameters, or an empty text: each must be one of `known`, and
  // must stand once.
  std::string parameters_problem(std::span<const std::string_view> known) const;
};

struct Response {
  int status = 200;
  std::string_view problem;  // the code of the error; a literal, or part of `storage`
  std::string_view content_type;
  std::string_view cache_control;  // empty: no-store
  std::string headers;             // further header lines, each with its CRLF
  bool allowed_origins = false;    // pages of the origins in the CORS settings may read this response
  bool any_origin = false;         // pages of every origin may read this response, whatever the CORS settings are
  std::string body;
  // If not empty, this text is sent instead of `body`. It points into `storage` or into static memory.
  std::string_view shared_body;
  std::shared_ptr<const void> storage;
  // If set, this function takes the connection over: it gets the socket after all earlier answers of the connection are
  // sent. `head` is the rendered status line and header, which the function must send first.
  std::function<void(asio::ip::tcp::socket, std::string head)> upgrade;

  void clear();
  // The memory of its content, in bytes; 0 for content in static memory.
  std::size_t memory() const { return body.capacity() + (storage ? shared_body.size() : 0); }
  std::string_view content() const { return shared_body.empty() ? std::string_view(body) : shared_body; }
  void header(std::string_view name, std::string_view value);
};

struct Exchange {
  Request request;
  Response response;
  // Returns false once the client has closed the connection. Set for routes with large answers (Route::large).
  std::function<bool()> client_waits;
  std::string head;  // the rendered status line and header
  bool done = false;
  std::size_t request_bytes = 0;  // the memory that the connection has counted for the request, and for the answer
  std::size_t answer_bytes = 0;
};

// An error answer. Its body is {"code","message","details","hint"}.
struct Problem {
  int status;
  std::string_view code;
  std::string_view message;
  std::string_view details{};                // empty: null in the body
  std::string_view hint{};                   // empty: null in the body
  std::chrono::milliseconds retry_after{0};  // zero: no header Retry-After
};

inline constexpr std::string_view kJson = "application/json";

void answer_json(Response& response, std::string body);
void answer_problem(Response& response, const Problem& problem);

inline constexpr std::string_view kSeeRoutes = "See GET /openapi.json for the routes.";
void answer_not_found(Response& response);  // 404

// Parses `text`, the value of the query parameter or header `name`, as a whole number. An empty `text` leaves `out`
// unchanged. Returns false after answering 400 if `text` is not a number from `min` to `max`.
bool read_whole_number(std::string_view name, std::string_view text, std::int64_t min, std::int64_t max,
                       std::optional<std::int64_t>& out, Response& response);

}  // namespace sealcast::http
