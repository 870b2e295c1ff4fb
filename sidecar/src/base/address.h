// IP addresses and networks (CIDR).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sealcast {

// An IPv6 address. An IPv4 address is mapped to ::ffff:0:0/96, so that an IPv4 peer has the same address on IPv4 and on
// dual-stack sockets.
struct Address {
  std::array<std::uint8_t, 16> bytes{};

  bool is_v4() const;
  std::string text() const;
  bool operator==(const Address&) const = default;
};

// Parses a decimal number from 0 to `max`. Returns -1 for any other text.
int parse_small_number(std::string_view text, int max);

// Parses one address without zone, port or brackets. Returns nullopt for any other text.
std::optional<Address> parse_address(std::string_view text);

struct Network {
  Address address;
  int prefix;  // 0 to 128 bits of the IPv6 form: 104 for 10.0.0.0/8

  bool contains(const Address& other) const;
};

// Parses "10.0.0.0/8", "2001:db8::/32", or one address. Throws std::invalid_argument with the problem, also if the
// address has bits set after the prefix.
Network parse_network(std::string_view text);

}  // namespace sealcast
