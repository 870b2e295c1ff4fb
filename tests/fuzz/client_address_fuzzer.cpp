// Any bytes as a network, a peer and X-Forwarded-For: refused cleanly, or an address that somebody could have had.
#include <stdexcept>
#include <string>

#include "fuzz.h"
#include "http/client_address.h"

namespace sealcast::fuzz {

void check(std::string_view rest) {
  using namespace http;
  const std::string network(next_line(rest));
  const auto peer = parse_address(next_line(rest));
  if (!peer) return;
  require(parse_address(peer->text()) == peer, "an address is what its text says");
  require(http::TrustedProxies({}).client(*peer, rest) == *peer, "nobody is believed who is not trusted");
  try {
    const auto parsed = parse_network(network);
    require(parsed.contains(parsed.address), "a network contains its first address");
    const Address client = http::TrustedProxies({network}).client(*peer, rest);
    if (!parsed.contains(*peer)) require(client == *peer, "a peer that is no proxy is the client");
    // What a client writes before its own address, as the proxy adds it, changes nothing.
    const std::string added = std::string(rest) + ", 203.0.113.9";
    if (parsed.contains(*peer) && !parsed.contains(*parse_address("203.0.113.9"))) {
      require(http::TrustedProxies({network}).client(*peer, added).text() == "203.0.113.9",
              "what the proxy added counts");
    }
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace sealcast::fuzz
