// An asynchronous Redis client on one io_context: hiredis decodes, Asio moves the bytes. Whatever waits is
// written in one go; replies are matched in order; a broken connection fails all its calls at once and is made again.
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
  ok,            // `reply` is the answer
  error,         // `reply` is an error of Redis
  timed_out,     // the command may or may not have been carried out
  disconnected,  // likewise
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

  void start();  // connects, and connects again for ever
  void stop();   // fails what waits

  asio::awaitable<Result> call(Command command);
  asio::awaitable<Result> call(Command command, Clock::time_point deadline);

  bool connected() const;
  const Options& options() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::client::redis
