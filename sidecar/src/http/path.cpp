// Matches the path of a request with the pattern of a route, segment by segment.
#include "http/path.h"

namespace sealcast::http {

namespace {

// Removes and returns the next segment with the slash before it.
std::string_view next_segment(std::string_view& rest) {
  const std::string_view segment = rest.substr(0, rest.find('/', 1));
  rest.remove_prefix(segment.size());
  return segment;
}

}  // namespace

bool path_matches(std::string_view pattern, std::string_view path, std::string_view& id) {
  while (!pattern.empty() && !path.empty()) {
    const std::string_view expected = next_segment(pattern);
    const std::string_view actual = next_segment(path);
    if (expected == "/{id}" && actual.starts_with('/') && actual.size() > 1) {
      id = actual.substr(1);
    } else if (expected != actual) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace sealcast::http
