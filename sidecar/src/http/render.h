// Renders the head of an answer: the status line, the header lines that all answers have, the CORS header lines, and
// the header lines of this answer only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace sealcast::http {

// The cross-origin rules (CORS) for a list of allowed origins; "*" allows all.
class Cors {
 public:
  explicit Cors(std::vector<std::string> origins);
  void append_headers(std::string_view origin, std::string& out) const;
  // Whether this is the OPTIONS request that a browser sends before a cross-origin request.
  bool is_preflight(const Request& request) const;
  void answer_preflight(Response& response) const;

 private:
  std::vector<std::string> origins_;
  bool any_ = false;
};

enum class Framing {
  length,   // Content-Length
  chunked,  // Transfer-Encoding: chunked
  close,    // the end of the connection ends the body, because HTTP/1.0 has no chunks
};

// Writes the head into `out`, replacing its content. `keep_alive` is true if the connection stays open after this
// answer.
void render_head(const Request& request, const Response& response, const Cors& cors, bool keep_alive, Framing framing,
                 std::string& out);

}  // namespace sealcast::http
