// The short name `asio` of Boost.Asio for all files of the sidecar. asio.cpp compiles the library.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace sealcast {

namespace asio = boost::asio;

}  // namespace sealcast
