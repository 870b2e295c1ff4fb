// Finds the client's address: the address of the connection's peer or, behind trusted proxies, an address in the header
// X-Forwarded-For. This file does not depend on the server, so a fuzzer can test it alone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace sealcast::http {

class TrustedProxies {
 public:
  static constexpr std::size_t kMaxHops = 16;  // if more entries must be read, the list is ignored

  // Parses `networks` with parse_network(). Throws its std::invalid_argument for the first invalid network.
  explicit TrustedProxies(const std::vector<std::string>& networks);

  // Returns the address of the client. `peer` is the other end of the connection, `forwarded_for` the comma-separated
  // list in X-Forwarded-For. Each proxy appends the address of its own peer to the list, so the list is read from its
  // end. client() starts with `peer`. As long as the current address belongs to a trusted proxy, the next entry from
  // the end becomes the current address. The client is the first address that does not belong to a trusted proxy, or
  // the first entry of the list if all addresses do. If client() reads an entry that is not an address, or more than
  // kMaxHops entries, it ignores the whole list and returns `peer`.
  Address client(const Address& peer, std::string_view forwarded_for) const;

 private:
  bool trusts(const Address& address) const;

  std::vector<Network> networks_;
};

}  // namespace sealcast::http
