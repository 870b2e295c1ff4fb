// The name by which all code of the sidecar calls Boost.Asio. asio.cpp compiles the library once, for all of it.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace sealcast {

namespace asio = boost::asio;

}  // namespace sealcast
