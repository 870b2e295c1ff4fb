// Parses the list in X-Forwarded-For, beginning with its last entry.
#include "http/client_address.h"

#include <algorithm>

namespace sealcast::http {

namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Parses one entry of the list. Proxies write an address with or without a port: 192.0.2.1, 2001:db8::1,
// 192.0.2.1:4711, [2001:db8::1]:4711.
std::optional<Address> parse_hop(std::string_view text) {
  constexpr int kMaxPort = 65'535;
  std::string_view port;
  bool bracketed = text.starts_with('[');
  const std::size_t end = bracketed ? text.find(']') : text.find(':');
  if (bracketed) {
    if (end == text.npos) return std::nullopt;
    port = text.substr(end + 1);
    text = text.substr(1, end - 1);
  } else if (end != text.npos && text.find(':', end + 1) == text.npos) {
    port = text.substr(end);
    text = text.substr(0, end);
  }
  if (!port.empty() && (port.front() != ':' || parse_small_number(port.substr(1), kMaxPort) < 0)) return std::nullopt;
  const auto address = parse_address(text);
  if (bracketed && address && text.find(':') == text.npos) return std::nullopt;
  return address;
}

}  // namespace

TrustedProxies::TrustedProxies(const std::vector<std::string>& networks) {
  for (const std::string& network : networks) networks_.push_back(parse_network(network));
}

bool TrustedProxies::trusts(const Address& address) const {
  return std::ranges::any_of(networks_, [&](const Network& network) { return network.contains(address); });
}

Address TrustedProxies::client(const Address& peer, std::string_view forwarded_for) const {
  Address client = peer;
  std::size_t hops = 0;
  while (trusts(client) && !trimmed(forwarded_for).empty()) {
    const std::size_t comma = forwarded_for.rfind(',');
    const auto before = parse_hop(trimmed(forwarded_for.substr(comma + 1)));
    if (!before || ++hops > kMaxHops) return peer;
    client = *before;
    forwarded_for = forwarded_for.substr(0, comma == forwarded_for.npos ? 0 : comma);
  }
  return client;
}

}  // namespace sealcast::http
