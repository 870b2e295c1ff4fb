// Resolves the host names of a DSN (a connection string of libpq) without blocking the event loop. libpq itself would
// block it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "client/names.h"

namespace sealcast::client::postgres {

// Returns the DSN with the addresses in `hostaddr`. The names stay in `host`, so TLS still checks the certificate
// against the name. Leaves out a host that has no address. Returns the DSN unchanged when it has a `hostaddr` already,
// has no `host`, or names only Unix sockets. Throws Error{unavailable} when the DSN is invalid or no host has an
// address.
boost::asio::awaitable<std::string> with_addresses(std::string dsn);

}  // namespace sealcast::client::postgres
