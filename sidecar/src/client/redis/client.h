// An asynchronous Redis client on one event loop. hiredis decodes the replies, and Asio sends and receives the bytes.
//
// Use: commands and Lua scripts, on one server, on a cluster, or on the master that sentinels name. Calls that are made
// at the same time go into one write. Replies are matched to calls in order. The client follows the redirections of a
// cluster, at most 5 per call. It repeats a command until the deadline while its slot is being moved (TRYAGAIN).
//
// Deadlines: each call ends at its deadline at the latest. The default deadline is Options::timeout from now. The
// client closes a connection when its oldest call has waited for more than 3 s (checked once per second). An attempt to
// connect takes 2 s at most.
//
// Errors: a call never throws. Result::status names the error. After timed_out or disconnected, the command may have
// been executed.
//
// When the server goes away: all calls on its connection fail at once, as disconnected. The client tries to reconnect
// until stop(). The pause between two attempts grows to about 1 s and is randomised. While there is no connection, each
// call fails at once. The exception is the first attempt to connect: calls during this attempt wait for its result.
// There is one connection, or one attempt to connect, per node. The log gets at most one line per second and client.
//
// Passwords: when a server refuses the password, the next attempt to connect uses what its file contains then. A
// changed CA file takes effect with the next connection.
//
// Cluster: the settings name some nodes (seeds); redirections make further nodes known. While the node of a slot is not
// connected, another node is asked, which knows the new node after a failover.
//
// Sentinel: each attempt to connect asks a sentinel for the master, and verifies with ROLE that the server is one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string_view>

#include "base/asio.h"
#include "client/redis/command.h"
#include "client/redis/options.h"
#include "client/redis/reply.h"

namespace sealcast::client::redis {
using Clock = std::chrono::steady_clock;

enum class Status {
  ok,            // Redis has executed the command; `reply` is its reply
  error,         // Redis answered with an error; `reply` contains it
  timed_out,     // there was no reply by the deadline; the command may have been executed
  disconnected,  // there is no connection, or it was lost; the command may have been executed
  overloaded,    // Options::max_waiting calls wait already; the command was not sent
};

struct Result {
  Status status;
  ReplyPtr reply;

  std::string_view text() const { return text_of(reply.get()); }
};

class Client {
 public:
  // Throws std::runtime_error when the CA file cannot be used.
  Client(asio::any_io_executor executor, Options options);
  ~Client();

  void start();
  void stop();  // ends all waiting calls as disconnected

  asio::awaitable<Result> call(Command command);
  asio::awaitable<Result> call(Command command, Clock::time_point deadline);

  // Returns true when at least one node is connected and answers its calls in time.
  bool connected() const;
  bool is_cluster() const;  // several seeds, or a redirection was seen
  // Returns when an established connection was lost last. After a loss, Redis may have other data.
  Clock::time_point last_loss() const;
  const Options& options() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::client::redis
