// docs/openapi.json as it was when this was built.
#pragma once

#include <string_view>

namespace sealcast::api {

extern const std::string_view kOpenApi;

}  // namespace sealcast::api
