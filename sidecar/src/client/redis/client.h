// An asynchronous Redis client on one event loop: hiredis decodes the replies, Asio moves the bytes.
//
// Use: commands and Lua scripts, on one server or a cluster. Calls that are made at the same time go into one write.
// Replies are matched to calls in order. The client follows the redirections of a cluster, 5 per call at most.
//
// Deadlines: each call has one (Options::timeout unless the caller gives one) and ends by then. A connection on which a
// call waits for 3 s without a reply is closed. An attempt to connect takes 2 s at most.
//
// Errors: a call never throws; Result::status names the error. After timed_out and disconnected the command may have
// been executed.
//
// When the server goes away: all calls of its connection fail at once, as disconnected. The client reconnects until
// stop(), after a pause that grows to about 1 s, with jitter. Until then each call fails at once. Only calls during the
// first attempt to connect wait for it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string_view>

#include "base/asio.h"
#include "client/redis/command.h"
#include "client/redis/reply.h"

namespace sealcast::client::redis {
using Clock = std::chrono::steady_clock;

enum class Status {
  ok,            // `reply` is the reply
  error,         // `reply` is an error of Redis
  timed_out,     // the command may have been executed
  disconnected,  // the command may have been executed
  overloaded,    // max_waiting calls wait already; nothing was sent
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
  void stop();  // fails all waiting calls

  asio::awaitable<Result> call(Command command);
  asio::awaitable<Result> call(Command command, Clock::time_point deadline);

  bool connected() const;  // to at least one node whose calls are answered in time
  const Options& options() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::client::redis
