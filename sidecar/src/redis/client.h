// An asynchronous Redis client on one io_context: hiredis decodes, Asio moves the bytes. Whatever waits is
// written in one go; replies are matched in order; a broken connection fails all its calls at once and is made again.
#pragma once

#include <hiredis/hiredis.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "log/log.h"

namespace sealcast::redis {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

struct Address {
  std::string host;
  std::uint16_t port;
};

struct Options {
  Address address;
  bool tls = false;
  std::string ca_file;  // PEM; empty: the system's certificates
  std::string user;     // ACL user; empty: the default user
  std::string password;
  int database = 0;
  std::chrono::milliseconds timeout{250};  // of one call, unless it brings a deadline of its own
  std::size_t max_waiting = 20'000;        // calls without a reply yet, for each node
  std::size_t max_reply = 1U << 30;        // bytes; a connection that brings more is given up
  std::string_view log_tag = log::tag::kGate;
};

// redis://[user[:password]@]host[:port][/database], rediss:// for TLS. Throws std::invalid_argument saying what is
// wrong.
Options parse_url(std::string_view url);

// One command in wire form.
class Command {
 public:
  // `key` decides the node when Redis is a cluster; empty: any.
  Command(std::initializer_list<std::string_view> arguments, std::string_view key = {})
      : Command(std::span(arguments.begin(), arguments.size()), key) {}
  Command(std::span<const std::string_view> arguments, std::string_view key = {});

  std::string_view bytes() const { return bytes_; }
  int slot() const { return slot_; }  // -1: any

 private:
  std::string bytes_;
  int slot_;
};

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using ReplyPtr = std::unique_ptr<redisReply, FreeReply>;

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

  std::string_view text() const {  // of an error, a status or a string
    return reply && reply->str ? std::string_view(reply->str, reply->len) : std::string_view();
  }
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

}  // namespace sealcast::redis
