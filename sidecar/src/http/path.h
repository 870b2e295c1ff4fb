// Whether the path of a request is one that a route serves.
#pragma once

#include <string_view>

namespace sealcast::http {

// `pattern` is segments, of which {id} stands for any one that is not empty: `id` is then that piece of `path`.
bool path_fits(std::string_view pattern, std::string_view path, std::string_view& id);

}  // namespace sealcast::http
