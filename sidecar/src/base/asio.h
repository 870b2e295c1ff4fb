// Defines the short name `asio` for the namespace of Boost.Asio. asio.cpp compiles the library.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace sealcast {

namespace asio = boost::asio;

}  // namespace sealcast
