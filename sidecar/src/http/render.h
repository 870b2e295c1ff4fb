// The bytes of an answer's head: status line, the headers every answer has, CORS, and the answer's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace sealcast::http {

// Cross-origin rules, as http.cors_origins states them.
class Cors {
 public:
  explicit Cors(std::vector<std::string> origins);
  void append_headers(std::string_view origin, std::string& out) const;
  // An OPTIONS request that asks what a page may do.
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

// Replaces `out`. `keep_alive`: whether the connection goes on after this answer.
void render_head(const Request& request, const Response& response, const Cors& cors, bool keep_alive, Framing framing,
                 std::string& out);

}  // namespace sealcast::http
