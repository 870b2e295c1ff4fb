// The answer of a service to one HTTP request.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sealcast::client::http {

struct Answer {
  int status = 0;       // 0: no answer; `failure` is the reason
  bool late = false;    // no answer by the deadline
  std::string failure;  // one line
  std::string body;
  std::chrono::milliseconds retry_after{0};  // from Retry-After, an hour at most; 0: none
  std::vector<std::pair<std::string, std::string>> headers;

  std::string_view header(std::string_view name) const;  // ignores upper and lower case; empty when missing
};

// Makes a text of a service safe for a log line: printable ASCII characters, cut at 200 bytes.
std::string one_line(std::string_view text);

}  // namespace sealcast::client::http
