// Compares the path of a request with the pattern of a route.
#pragma once

#include <string_view>

namespace sealcast::http {

// The segment {id} of `pattern` matches any segment that is not empty. `id` is then that part of `path`.
bool path_matches(std::string_view pattern, std::string_view path, std::string_view& id);

}  // namespace sealcast::http
