// Whose request it is: the peer's address or, where proxies that are trusted stand in between, the one that
// X-Forwarded-For gives. Nothing here depends on the server, so that a fuzzer can hold it alone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace sealcast::http {

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

}  // namespace sealcast::http
