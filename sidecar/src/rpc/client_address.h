// Whose request it is: the peer's address or, where proxies that are trusted stand in between, the one that
// X-Forwarded-For gives. Nothing here depends on the server, so that a fuzzer can hold it alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::rpc {

// IPv6; IPv4 as ::ffff:0:0/96, so that a peer is the same whatever socket accepted it.
struct Address {
  std::array<std::uint8_t, 16> bytes{};

  bool is_v4() const;
  std::string text() const;
  bool operator==(const Address&) const = default;
};

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

class TrustedProxies {
 public:
  static constexpr std::size_t kMaxHops = 16;  // proxies in a row

  // Throws what parse_network() throws.
  explicit TrustedProxies(const std::vector<std::string>& networks);

  // Each proxy appends the address that it heard from. So the list is believed from its end on: as long as the address
  // so far is a trusted proxy's, the entry before it is taken. An entry that is no address, or more hops than kMaxHops,
  // make the whole list unbelievable, and the peer's own address is answered.
  Address client(const Address& peer, std::string_view forwarded_for) const;

 private:
  bool trusts(const Address& address) const;

  std::vector<Network> networks_;
};

}  // namespace sealcast::rpc
