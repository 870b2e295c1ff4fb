// Splits a DSN (a connection string of libpq) into one for each server address, and resolves the host names. libpq
// itself would block the event loop during a look-up, and leave a server that does not answer only by its own timers.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "client/names.h"

namespace sealcast::client::postgres {

// Returns a DSN for each address, in the order in which libpq would try them: with `host`, `hostaddr` and `port` of one
// address. The name stays in `host`, so TLS still checks the certificate against it. Leaves out a host that has no
// address, or whose look-up takes longer than `timeout`. target_session_attrs=prefer-standby becomes a first round that
// asks for a standby, and a second round. Throws Error{unavailable} when the DSN is invalid or no host has an address.
boost::asio::awaitable<std::vector<std::string>> dsn_of_each_address(std::string dsn,
                                                                     std::chrono::milliseconds timeout);

// Returns how long an attempt to connect to one address may take: the DSN's connect_timeout, as libpq at least 2 s,
// else `absent`.
std::chrono::milliseconds connect_timeout(const std::string& dsn, std::chrono::milliseconds absent);

}  // namespace sealcast::client::postgres
