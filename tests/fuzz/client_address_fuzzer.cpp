// Interprets the input as a network of trusted proxies, the address of a peer, and an X-Forwarded-For header. The
// client's address must not depend on headers from a peer that is not trusted.
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
  require(parse_address(peer->text()) == peer, "parsing the text of an address returns the same address");
  require(http::TrustedProxies({}).client(*peer, rest) == *peer, "without trusted proxies the peer is the client");
  try {
    const auto parsed = parse_network(network);
    require(parsed.contains(parsed.address), "a network contains its first address");
    const Address client = http::TrustedProxies({network}).client(*peer, rest);
    if (!parsed.contains(*peer)) require(client == *peer, "a peer that is not a trusted proxy is the client");
    // A trusted proxy appends the client's address to the header. The client can send the earlier entries, so they must
    // have no effect.
    const std::string added = std::string(rest) + ", 203.0.113.9";
    if (parsed.contains(*peer) && !parsed.contains(*parse_address("203.0.113.9"))) {
      require(http::TrustedProxies({network}).client(*peer, added).text() == "203.0.113.9",
              "the address that the proxy appended is the client");
    }
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace sealcast::fuzz
