// The URL of a service: scheme://[user[:password]@]host[:port][/path], with TLS when the scheme has an s at its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sealcast {

struct ServiceUrl {
  bool tls = false;
  std::string user;
  std::string password;
  std::string host;        // without the brackets of an IPv6 address
  std::uint16_t port = 0;  // 0: the URL has no port
  std::string path;        // the part after the first /
};

// Throws std::invalid_argument with the problem. The text never quotes the URL, which may contain a password.
ServiceUrl parse_service_url(std::string_view url, std::string_view scheme);

}  // namespace sealcast
