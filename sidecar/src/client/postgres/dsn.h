// Host names of a DSN, resolved without stopping the event loop (libpq's own look-up blocks).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "client/names.h"

namespace sealcast::client::postgres {

// The DSN with `hostaddr` beside `host`. What cannot be resolved throws Error{unavailable}. A DSN that has addresses
// already, or sockets only, comes back as it was. TLS still checks the certificate against the name.
boost::asio::awaitable<std::string> with_addresses(std::string dsn);

}  // namespace sealcast::client::postgres
