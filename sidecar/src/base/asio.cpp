// Compiles Boost.Asio and Boost.Beast once, so that all other files compile faster.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
