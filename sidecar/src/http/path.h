// Compares the path of a request with the pattern of a route.
#pragma once

#include <string_view>

namespace sealcast::http {

// Returns whether `path` matches `pattern`. The segment {id} of `pattern` matches any segment that is not empty, and
// `id` is set to that segment of `path`. `id` can also change when path_matches() returns false.
bool path_matches(std::string_view pattern, std::string_view path, std::string_view& id);

}  // namespace sealcast::http
