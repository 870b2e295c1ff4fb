// Parses and writes addresses and networks.
#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace sealcast {
namespace {

constexpr std::array<std::uint8_t, 12> kV4Prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kV4PrefixBits = 96;
constexpr int kBits = 128;

}  // namespace

int parse_small_number(std::string_view text, int max) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool plain = error == std::errc() && end == text.data() + text.size() && text.front() != '-';
  return plain && value <= max ? value : -1;
}

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
  const int bits = slash == text.npos ? kBits - before : parse_small_number(text.substr(slash + 1), kBits - before);
  if (bits < 0) throw std::invalid_argument(v4 ? "has no prefix of 0 to 32 bits" : "has no prefix of 0 to 128 bits");
  const Network network{*address, before + bits};
  Address lowest = *address;
  for (int bit = network.prefix; bit < kBits; ++bit) {
    lowest.bytes[static_cast<std::size_t>(bit / 8)] &= static_cast<std::uint8_t>(~(0x80 >> bit % 8));
  }
  if (lowest != *address)
    throw std::invalid_argument("has bits set after its prefix; the network begins at " + lowest.text());
  return network;
}

}  // namespace sealcast
