// Renders the head of an answer: status line, the header lines of all answers, CORS, and the answer's own lines.
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
  close,    // until the connection ends (HTTP/1.0 has no chunks)
};

// Replaces `out`. `keep_alive`: the connection stays open after this answer.
void render_head(const Request& request, const Response& response, const Cors& cors, bool keep_alive, Framing framing,
                 std::string& out);

}  // namespace sealcast::http
