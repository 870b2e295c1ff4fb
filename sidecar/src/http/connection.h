// One HTTP/1.1 connection: reads requests, has several answered at once, and sends the answers in order.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/asio.h"
#include "http/exchange.h"
#include "http/parser.h"

namespace sealcast::http {

class Server;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  Connection(Server& server, asio::ip::tcp::socket socket);
  ~Connection();

  void start() { read(); }
  // Ends the connection once every request that has arrived is answered.
  void drain();
  // Ends it now when it has kept us waiting too long: a request that does not come to its end, answers that are not
  // taken, nothing asked for a while.
  void check_patience(Clock::time_point now);
  void abort();
  void forget_server() { server_ = nullptr; }
  bool busy() const { return first_ != next_ || started_.has_value(); }

  std::size_t index = 0;  // among the server's connections

 private:
  void read();
  void consume();
  bool parse_one();  // false when more bytes are needed, or nothing more is to be read
  void dispatch();
  void refuse(int status, std::string_view code, std::string_view message);
  void complete(std::uint64_t number);
  void flush();
  void release(std::size_t answered);
  void send_rest(std::size_t answered, std::size_t written);
  void hand_over();
  void linger();
  void send_continue();

  Exchange& exchange(std::uint64_t number);

  Server* server_;  // null once it is gone
  asio::ip::tcp::socket socket_;
  Address peer_;
  std::vector<char> input_;  // bytes [begin_, end_) are not parsed yet
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::optional<RequestParser> parser_;               // of the request that is being read
  std::vector<std::unique_ptr<Exchange>> exchanges_;  // by number, modulo their power of two
  std::uint64_t first_ = 0;                           // the oldest request that is not answered
  std::uint64_t next_ = 0;                            // the number of the next one
  std::vector<asio::const_buffer> output_;
  std::optional<Clock::time_point> started_;  // a request began to arrive
  std::optional<Clock::time_point> sending_;  // answers began to wait for the socket
  Clock::time_point idle_since_;
  bool reading_ = false;
  bool consuming_ = false;
  bool flush_posted_ = false;
  bool alone_ = false;  // beside the last request no other is read: see Route
  bool last_ = false;   // no request is taken any more
  bool lingering_ = false;
};

}  // namespace sealcast::http
