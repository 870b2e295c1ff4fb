// Compiles Boost.Asio and Boost.Beast once: every other file then compiles faster.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
