// A connection that the server has no room for.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/asio.h"

namespace sealcast::http {

// How long a client may take to read its last answer and to close the connection.
inline constexpr std::chrono::seconds kLinger{2};

// Sends an answer and discards the request until the client closes the connection, at most for kLinger. If the
// socket were closed at once, the kernel would reset the connection because of the unread request, and the client could
// lose the answer. Keeps itself alive.
class RefusedConnection : public std::enable_shared_from_this<RefusedConnection> {
 public:
  // `count` holds the number of refused connections that are open.
  RefusedConnection(asio::ip::tcp::socket socket, std::shared_ptr<std::size_t> count);
  ~RefusedConnection();
  void answer(const std::string& bytes);

 private:
  void discard();

  asio::ip::tcp::socket socket_;
  asio::steady_timer deadline_;
  std::shared_ptr<std::size_t> count_;
  std::array<char, 1024> discarded_;
};

}  // namespace sealcast::http
