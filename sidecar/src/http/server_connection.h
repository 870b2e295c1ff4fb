// One HTTP/1.1 connection: reads requests, lets several handlers run at the same time, and sends the answers in the
// order of the requests.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/asio.h"
#include "base/memory_budget.h"
#include "http/exchange.h"
#include "http/parser.h"

namespace sealcast::http {

class Server;
struct Route;

class ServerConnection : public std::enable_shared_from_this<ServerConnection> {
 public:
  using Clock = std::chrono::steady_clock;

  ServerConnection(Server& server, asio::ip::tcp::socket socket);
  ~ServerConnection();

  void start() { read(); }
  // Ends the connection after all requests that have arrived are answered.
  void shut_down();
  // Ends the connection if, for longer than read_timeout, a request does not arrive completely (it gets 408 first), the
  // client does not read an answer; or if no further request begins for longer than keep_alive. Also ends a lingering
  // connection after kLinger. A connection that is idle for kIdle gives back what it keeps for the next requests.
  void check_timeouts(Clock::time_point now);
  void abort();
  // The server's destructor calls this, because a running handler can keep the connection alive longer than the server.
  void detach_server() {
    server_ = nullptr;
    requests_.set(0);
    answers_.set(0);
  }
  // Whether a request is still arriving, or an answer is not sent yet.
  bool busy() const { return first_ != next_ || started_.has_value(); }

  std::size_t index = 0;  // of this connection in the server's list of connections

 private:
  void read();
  void parse_all();
  bool parse_one();  // returns false if it needs more bytes, or if no further request is accepted
  void dispatch();
  void finish_handler(std::uint64_t number, const Route& route, std::exception_ptr error);
  void refuse(const Problem& problem);
  void complete(std::uint64_t number);
  void flush();
  void release(std::size_t answered);
  void send_rest(std::size_t answered, std::size_t written);
  void upgrade();
  void linger();
  void send_continue();
  bool client_waits();
  void count_requests();
  void shed_request();
  void shed_answers();

  Exchange& exchange(std::uint64_t number);

  Server* server_;  // null after the server is destroyed
  asio::ip::tcp::socket socket_;
  Address peer_;
  std::vector<char> input_;  // the bytes [begin_, end_) are not parsed yet
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::optional<RequestParser> parser_;               // parses the request that is arriving
  std::vector<std::unique_ptr<Exchange>> exchanges_;  // request n is at index n modulo size(), a power of two
  std::vector<std::unique_ptr<Exchange>> kept_;       // for the next requests
  std::uint64_t first_ = 0;                           // the number of the oldest request whose answer is not sent
  std::uint64_t next_ = 0;                            // the number of the next request
  std::vector<asio::const_buffer> output_;
  std::optional<Clock::time_point> started_;  // when the first byte of the arriving request was parsed
  std::optional<Clock::time_point> sending_;  // when the unsent piece of the answers began to wait for the socket
  Clock::time_point idle_since_;
  bool reading_ = false;
  bool parsing_ = false;
  bool flush_posted_ = false;
  bool exclusive_ = false;            // no request is read until the newest one is answered: see Route::Answer
  bool ending_ = false;               // no further request is accepted
  bool lingering_ = false;            // the last answer is sent; input is discarded until the client closes
  std::size_t dispatched_bytes_ = 0;  // of the requests from first_ on that have arrived
  std::size_t kept_bytes_ = 0;
  MemoryBudget::Share requests_;
  MemoryBudget::Share answers_;
};

}  // namespace sealcast::http
