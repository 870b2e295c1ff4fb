// The HTTP server: accepts connections, routes requests, and drains.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"
#include "http/connection.h"
#include "http/exchange.h"
#include "http/render.h"
#include "http/router.h"

namespace sealcast::http {

struct ServerSettings {
  std::string listen;  // host:port
  std::uint64_t max_body_bytes;
  std::uint32_t max_header_bytes;
  std::size_t max_connections;  // with those that were handed over
  std::size_t max_pipelined;
  std::size_t max_unsent_bytes;  // of all answers; beyond it none that is large is begun
  std::chrono::milliseconds read_timeout;
  std::vector<std::string> cors_origins;
  std::function<std::size_t()> handed_over;  // connections that routes took over and that still stand
};

class Server {
 public:
  // The references outlive the server.
  Server(asio::any_io_executor executor, const Router& router, Metrics& metrics, ServerSettings settings);
  ~Server();

  // Binds and accepts. Throws std::runtime_error naming the address and the fix.
  void start();
  asio::ip::tcp::endpoint address() const { return acceptor_.local_endpoint(); }

  // No further connections; those that stand end with their next answer.
  void drain();
  // Whether a request is still without its answer.
  bool busy() const;
  void close();

 private:
  friend class Connection;
  void accept();
  void remove(Connection& connection);
  void watch();

  asio::any_io_executor executor_;
  const Router& router_;
  Metrics& metrics_;
  ServerSettings settings_;
  Cors cors_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer watch_timer_;
  asio::steady_timer accept_timer_;
  std::vector<Connection*> connections_;
  std::size_t unsent_ = 0;  // bytes of answers that wait for their sockets
  bool draining_ = false;
};

}  // namespace sealcast::http
