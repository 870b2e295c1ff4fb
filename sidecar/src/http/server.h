// The HTTP server: accepts connections. A router finds the handler that answers each request.
#pragma once

#include <prometheus/gauge.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/event.h"
#include "base/memory_budget.h"
#include "http/render.h"
#include "http/router.h"
#include "http/server_connection.h"

namespace sealcast::http {

struct ServerSettings {
  std::string listen;  // host:port
  std::size_t max_body_bytes;
  std::size_t max_header_bytes;
  std::size_t max_connections;  // together with the connections that routes took over
  std::size_t max_pipelined;    // requests of one connection that are answered at the same time
  std::chrono::milliseconds read_timeout;
  std::chrono::seconds keep_alive;   // how long a connection may be idle between two requests
  std::chrono::seconds ack_timeout;  // how long a client may acknowledge nothing, on the level of TCP
  std::vector<std::string> cors_origins;
  std::vector<std::string> cors_headers;
};

class Server {
 public:
  // The referenced objects must stay valid as long as the server.
  struct Dependencies {
    const Router& router;
    MemoryBudget& memory;
    prometheus::Gauge& connections;         // shows the number of open connections
    std::function<std::size_t()> upgraded;  // returns how many connections that routes took over are open
  };

  Server(asio::any_io_executor executor, Dependencies dependencies, ServerSettings settings);
  ~Server();

  // Binds the address and accepts connections. Throws a std::runtime_error that names the address and the fix.
  void start();
  asio::ip::tcp::endpoint address() const { return acceptor_.local_endpoint(); }

  // Accepts no further connections. Each open connection ends after all its requests that have arrived are answered.
  void shut_down();
  // Whether any request is still arriving, or any answer is not sent yet.
  bool busy() const;
  // Waits until the server is not busy. Returns false if `deadline` passes first. Must be called after shut_down(),
  // because only a server that shuts down signals each answer that it has sent.
  asio::awaitable<bool> wait_idle(Event::Clock::time_point deadline);
  // Ends all connections at once.
  void close();

 private:
  friend class ServerConnection;
  void accept();
  void refuse(asio::ip::tcp::socket socket);
  void remove(ServerConnection& connection);
  void check_timeouts();
  template <typename Function>
  void for_each_connection(Function function);

  asio::any_io_executor executor_;
  Dependencies dependencies_;
  ServerSettings settings_;
  Cors cors_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer timeout_timer_;
  asio::steady_timer accept_timer_;
  std::vector<ServerConnection*> connections_;
  std::shared_ptr<std::size_t> refused_ = std::make_shared<std::size_t>(0);  // open connections that were refused
  bool shutting_down_ = false;
  Event progress_;  // set when a connection ends and, while the server shuts down, when an answer is sent
};

}  // namespace sealcast::http
