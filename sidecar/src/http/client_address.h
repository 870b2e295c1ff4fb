// Finds the client's address: the peer's address or, behind trusted proxies, an address of X-Forwarded-For. Nothing
// here depends on the server, so a fuzzer can test it alone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace sealcast::http {

class TrustedProxies {
 public:
  static constexpr std::size_t kMaxHops = 16;  // more proxies in a row make the list invalid

  // Throws std::invalid_argument, as parse_network() does.
  explicit TrustedProxies(const std::vector<std::string>& networks);

  // Each proxy appends the address of its own peer. So the list is read from its end: while the address so far belongs
  // to a trusted proxy, the entry before it is the next address. If such an entry is not an address, or if there are
  // more hops than kMaxHops, the whole list is ignored and `peer` is returned.
  Address client(const Address& peer, std::string_view forwarded_for) const;

 private:
  bool trusts(const Address& address) const;

  std::vector<Network> networks_;
};

}  // namespace sealcast::http
