// The URL of a service: scheme://[user[:password]@]host[:port][/path], with TLS when an s follows the scheme.
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
  std::uint16_t port = 0;  // 0: the URL names none
  std::string path;        // what follows the first /
};

// Throws std::invalid_argument saying what is wrong. It never quotes the URL: that may hold a password.
ServiceUrl parse_service_url(std::string_view url, std::string_view scheme);

}  // namespace sealcast
