// Parses the URL of an outside service: scheme://[user[:password]@]host[:port][/path]. An s at the end of the scheme
// means TLS.
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

// `scheme` is the scheme without TLS, for example mqtt. Throws std::invalid_argument with the problem. The text of the
// exception never quotes the URL, which may contain a password.
ServiceUrl parse_service_url(std::string_view url, std::string_view scheme);

}  // namespace sealcast
