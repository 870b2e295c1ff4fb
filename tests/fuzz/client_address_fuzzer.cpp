// Any bytes as a network, a peer and X-Forwarded-For: refused cleanly, or an address that somebody could have had.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "rpc/client_address.h"

namespace {

using sealcast::rpc::Address;
using sealcast::rpc::TrustedProxies;

void require(bool holds, const char* property) {
  if (holds) return;
  std::cerr << "broken: " << property << '\n';
  std::abort();
}

// The first line of the rest.
std::string_view next_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string network(next_line(rest));
  const auto peer = sealcast::rpc::parse_address(next_line(rest));
  if (!peer) return 0;
  require(sealcast::rpc::parse_address(peer->text()) == peer, "an address is what its text says");
  require(TrustedProxies({}).client(*peer, rest) == *peer, "nobody is believed who is not trusted");
  try {
    const auto parsed = sealcast::rpc::parse_network(network);
    require(parsed.contains(parsed.address), "a network contains its first address");
    const Address client = TrustedProxies({network}).client(*peer, rest);
    if (!parsed.contains(*peer)) require(client == *peer, "a peer that is no proxy is the client");
    // What a client writes before its own address, as the proxy adds it, changes nothing.
    const std::string added = std::string(rest) + ", 203.0.113.9";
    if (parsed.contains(*peer) && !parsed.contains(*sealcast::rpc::parse_address("203.0.113.9"))) {
      require(TrustedProxies({network}).client(*peer, added).text() == "203.0.113.9", "what the proxy added counts");
    }
  } catch (const std::invalid_argument&) {
    return 0;
  }
  return 0;
}
