// Looks up the addresses of host names. Each look-up has a thread of its own, because the look-up of one dead server
// may take many seconds, and must not hold up the others. An address as text needs no look-up.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"

namespace sealcast {

class Resolver {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Resolver(asio::any_io_executor executor);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Returns at least one endpoint. Throws boost::system::system_error when the name has no address, when `deadline`
  // passes, or after cancel(). One look-up at a time.
  asio::awaitable<std::vector<asio::ip::tcp::endpoint>> resolve(std::string host, std::uint16_t port,
                                                                Clock::time_point deadline = Clock::time_point::max());
  void cancel();  // ends the look-up in progress; its thread ends later by itself

 private:
  struct LookUp;

  asio::any_io_executor executor_;
  std::shared_ptr<asio::steady_timer> waiting_;  // of the look-up in progress
};

}  // namespace sealcast
