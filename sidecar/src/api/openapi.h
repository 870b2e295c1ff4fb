// The text of docs/openapi.json as a constant. CMake compiles it into the program.
#pragma once

#include <string_view>

namespace sealcast::api {

extern const std::string_view kOpenApi;

}  // namespace sealcast::api
