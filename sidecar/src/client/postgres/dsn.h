// Resolves the host names of a DSN without blocking the event loop. libpq itself would block it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "client/names.h"

namespace sealcast::client::postgres {

// Returns the DSN with `hostaddr` in addition to `host`, so TLS still checks the certificate against the name. Returns
// a DSN unchanged when it has addresses already, or Unix sockets only. Throws Error{unavailable} when no host has an
// address; a host without one is left out.
boost::asio::awaitable<std::string> with_addresses(std::string dsn);

}  // namespace sealcast::client::postgres
