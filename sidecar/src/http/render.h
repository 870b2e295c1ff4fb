// Renders the head of an answer: the status line, the header lines that all answers have, the CORS header lines, and
// the header lines of this answer only.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace sealcast::http {

// The cross-origin rules (CORS): the allowed origins, and the header fields that their pages may send. "*" allows all.
class Cors {
 public:
  Cors(std::vector<std::string> origins, std::vector<std::string> headers);
  void append_headers(std::string_view origin, std::string& out) const;
  // Whether this is the OPTIONS request that a browser sends before a cross-origin request.
  bool is_preflight(const Request& request) const;
  void answer_preflight(const Request& request, Response& response) const;

 private:
  std::vector<std::string> origins_;
  bool any_ = false;
  std::string headers_;  // the allowed header fields; empty: the fields that the page asks for
};

enum class Framing {
  length,   // Content-Length
  chunked,  // Transfer-Encoding: chunked
  close,    // the end of the connection ends the body, because HTTP/1.0 has no chunks
};

// Writes the head into `out`, replacing its content. `keep_alive` is how long the connection stays open without a
// request; zero if it ends with this answer.
void render_head(const Request& request, const Response& response, const Cors& cors, std::chrono::seconds keep_alive,
                 Framing framing, std::string& out);

}  // namespace sealcast::http
