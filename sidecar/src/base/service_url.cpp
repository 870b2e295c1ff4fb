// Splits the URL of an outside service into its parts.
#include "base/service_url.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace sealcast {
namespace {

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned char byte = 0;
    const auto hex = text.substr(i + 1, 2);
    const auto [stop, error] = std::from_chars(hex.data(), hex.data() + hex.size(), byte, 16);
    if (error != std::errc() || hex.size() != 2 || stop != hex.data() + 2) {
      throw std::invalid_argument("has a % without two hex digits after it");
    }
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

}  // namespace

ServiceUrl parse_service_url(std::string_view url, std::string_view scheme) {
  ServiceUrl out;
  const std::string plain = std::string(scheme) + "://";
  const std::string secure = std::string(scheme) + "s://";
  out.tls = url.starts_with(secure);
  if (!out.tls && !url.starts_with(plain)) {
    throw std::invalid_argument("does not begin with " + plain + " or " + secure);
  }
  url.remove_prefix(out.tls ? secure.size() : plain.size());
  if (const auto slash = url.find('/'); slash != std::string_view::npos) {
    out.path = url.substr(slash + 1);
    url = url.substr(0, slash);
  }
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    const auto credentials = url.substr(0, at);
    const auto colon = std::min(credentials.find(':'), credentials.size());
    out.user = percent_decoded(credentials.substr(0, colon));
    out.password = percent_decoded(credentials.substr(std::min(colon + 1, credentials.size())));
    url = url.substr(at + 1);
  }
  const bool bracketed = url.starts_with('[');
  if (bracketed && url.find(']') == std::string_view::npos) throw std::invalid_argument("has a [ without a ]");
  const auto host_end = std::min(url.find(bracketed ? ']' : ':'), url.size());
  out.host = url.substr(bracketed ? 1 : 0, host_end - (bracketed ? 1 : 0));
  url.remove_prefix(std::min(host_end + (bracketed ? 1 : 0), url.size()));
  if (out.host.empty()) throw std::invalid_argument("has no host");
  if (out.host.find_first_of("[]") != std::string::npos || (!url.empty() && url.front() != ':')) {
    throw std::invalid_argument("has brackets that do not enclose the host");
  }
  if (!url.empty()) {
    const auto digits = url.substr(1);
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (error != std::errc() || stop != digits.data() + digits.size() || out.port == 0) {
      throw std::invalid_argument("has no port number from 1 to 65535 after the colon");
    }
  }
  return out;
}

}  // namespace sealcast
