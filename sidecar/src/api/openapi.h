// The text of docs/openapi.json, compiled in.
#pragma once

#include <string_view>

namespace sealcast::api {

extern const std::string_view kOpenApi;

}  // namespace sealcast::api
