// Reading addresses, networks and X-Forwarded-For.
#include "rpc/client_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace sealcast::rpc {

namespace {

constexpr std::array<std::uint8_t, 12> kV4Prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kV4PrefixBits = 96;
constexpr int kBits = 128;

// A decimal number of up to `max` and nothing else; -1 when it is none.
int number(std::string_view text, int max) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool plain = error == std::errc() && end == text.data() + text.size() && text.front() != '-';
  return plain && value <= max ? value : -1;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// What proxies write: 192.0.2.1, 2001:db8::1, and either with a port: 192.0.2.1:4711, [2001:db8::1]:4711.
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
  if (!port.empty() && (port.front() != ':' || number(port.substr(1), kMaxPort) < 0)) return std::nullopt;
  const auto address = parse_address(text);
  if (bracketed && address && text.find(':') == text.npos) return std::nullopt;
  return address;
}

}  // namespace

bool Address::is_v4() const { return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes.begin()); }

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> out{};
  const void* from = is_v4() ? bytes.data() + kV4Prefix.size() : bytes.data();
  return inet_ntop(is_v4() ? AF_INET : AF_INET6, from, out.data(), out.size());
}

std::optional<Address> parse_address(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != text.npos) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated.begin());
  Address address;
  if (inet_pton(AF_INET6, terminated.data(), address.bytes.data()) == 1) return address;
  if (inet_pton(AF_INET, terminated.data(), address.bytes.data() + kV4Prefix.size()) != 1) return std::nullopt;
  std::copy(kV4Prefix.begin(), kV4Prefix.end(), address.bytes.begin());
  return address;
}

bool Network::contains(const Address& other) const {
  const auto whole = static_cast<std::size_t>(prefix / 8);
  if (std::memcmp(address.bytes.data(), other.bytes.data(), whole) != 0) return false;
  const int rest = prefix % 8;
  return rest == 0 || (address.bytes[whole] ^ other.bytes[whole]) >> (8 - rest) == 0;
}

Network parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) throw std::invalid_argument("is no IPv4 or IPv6 address");
  const bool v4 = text.find(':') == text.npos;
  const int before = v4 ? kV4PrefixBits : 0;
  const int bits = slash == text.npos ? kBits - before : number(text.substr(slash + 1), kBits - before);
  if (bits < 0) throw std::invalid_argument(v4 ? "has no prefix of 0 to 32 bits" : "has no prefix of 0 to 128 bits");
  const Network network{*address, before + bits};
  Address lowest = *address;
  for (int bit = network.prefix; bit < kBits; ++bit) {
    lowest.bytes[static_cast<std::size_t>(bit / 8)] &= static_cast<std::uint8_t>(~(0x80 >> bit % 8));
  }
  if (lowest != *address)
    throw std::invalid_argument("has bits behind its prefix; its network begins at " + lowest.text());
  return network;
}

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

}  // namespace sealcast::rpc
