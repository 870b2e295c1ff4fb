// IP addresses and networks, in their usual notation.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sealcast {

// IPv6; IPv4 as ::ffff:0:0/96, so that a peer is the same whatever socket accepted it.
struct Address {
  std::array<std::uint8_t, 16> bytes{};

  bool is_v4() const;
  std::string text() const;
  bool operator==(const Address&) const = default;
};

// A decimal number of at most `max` and nothing else; -1 when the text is not one.
int parse_small_number(std::string_view text, int max);

// One address in its usual notation, without a zone, port or brackets.
std::optional<Address> parse_address(std::string_view text);

// An address and how many of its first bits count.
struct Network {
  Address address;
  int prefix;  // of 128

  bool contains(const Address& other) const;
};

// "10.0.0.0/8", "2001:db8::/32", or an address alone. Throws std::invalid_argument saying what is wrong.
Network parse_network(std::string_view text);

}  // namespace sealcast
