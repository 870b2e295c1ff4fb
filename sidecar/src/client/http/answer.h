// The answer of a service to one HTTP request.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sealcast::client::http {

inline constexpr int kUnauthorized = 401;  // the service refuses the key

struct Answer {
  int status = 0;       // the HTTP status; 0: there was no complete answer, and `failure` is the reason
  bool late = false;    // true when there was no complete answer by the deadline
  std::string failure;  // one line of text
  std::string body;
  std::chrono::milliseconds retry_after{0};  // from the header Retry-After, at most one hour; 0: no such header
  std::vector<std::pair<std::string, std::string>> headers;

  // Returns the value of the header, or an empty text if it is missing. Ignores the case of `name`.
  std::string_view header(std::string_view name) const;
};

// Makes a text that a service has sent safe for a log line. Returns at most its first 200 bytes. A control character
// becomes a space, and each byte outside ASCII becomes a question mark.
std::string one_line(std::string_view text);

}  // namespace sealcast::client::http
