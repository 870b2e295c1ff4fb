// Reads targets in origin form, absolute form and asterisk form.
#include "http/target.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>

#include "core/characters.h"

namespace sealcast::http {

namespace {

// A name, an IPv4 address, or an IPv6 address in brackets (RFC 3986, 3.2.2).
bool is_host_character(char c) {
  return core::is_alphanumeric(c) || std::string_view("-._~%!$&'()*+,;=").find(c) != std::string_view::npos;
}

}  // namespace

bool assign_target(std::string_view target, std::string& out) {
  if (target.starts_with('/') || target == "*") {
    out = target;
    return true;
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!boost::beast::iequals(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const std::size_t end = std::min(target.find_first_of("/?"), target.size());
    if (end == 0 || !is_host(target.substr(0, end))) return false;
    target.remove_prefix(end);
    out = target.starts_with('/') ? "" : "/";
    out += target;
    return true;
  }
  return false;
}

bool is_host(std::string_view value) {
  std::string_view port;
  if (value.starts_with('[')) {
    const std::size_t end = value.find(']');
    if (end == value.npos) return false;
    const std::string_view address = value.substr(1, end - 1);
    port = value.substr(end + 1);
    if (address.empty() || !std::ranges::all_of(address, [](char c) { return c == ':' || is_host_character(c); }))
      return false;
    if (!port.empty() && port.front() != ':') return false;
  } else {
    const std::size_t colon = std::min(value.find(':'), value.size());
    port = value.substr(colon);
    if (!std::ranges::all_of(value.substr(0, colon), is_host_character)) return false;
  }
  return port.size() <= 6 && std::ranges::all_of(port.substr(port.empty() ? 0 : 1), core::is_digit);
}

}  // namespace sealcast::http
