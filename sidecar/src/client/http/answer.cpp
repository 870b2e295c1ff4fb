// Finds headers by name, and makes the texts that a service has sent safe for a log line.
#include "client/http/answer.h"

#include <strings.h>

#include <algorithm>

namespace sealcast::client::http {

std::string_view Answer::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& header) {
    return header.first.size() == name.size() && ::strncasecmp(header.first.data(), name.data(), name.size()) == 0;
  });
  return found == headers.end() ? std::string_view() : found->second;
}

std::string one_line(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  std::string out(text.substr(0, kLongest));
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r' || out.back() == ' ')) out.pop_back();
  for (char& c : out) {
    if (c < 0x20 || c == 0x7f) c = c < 0 ? '?' : ' ';
  }
  return out;
}

}  // namespace sealcast::client::http
