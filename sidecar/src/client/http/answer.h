// What a service answered over HTTP.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sealcast::client::http {

struct Answer {
  int status = 0;       // 0: none, and `failure` says why
  bool late = false;    // there is none because the deadline passed
  std::string failure;  // one line
  std::string body;
  std::chrono::milliseconds retry_after{0};  // Retry-After, an hour at most; 0: none
  std::vector<std::pair<std::string, std::string>> headers;

  std::string_view header(std::string_view name) const;  // in any case; empty when it is missing
};

// What a service said, fit for a log: one line of printable characters, cut at 200 bytes.
std::string one_line(std::string_view text);

}  // namespace sealcast::client::http
