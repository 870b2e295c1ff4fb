// Base64 with padding (RFC 4648 §4), as headers of HTTP and services' signatures have it.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::client::http {

std::string base64(std::string_view bytes);

}  // namespace sealcast::client::http
