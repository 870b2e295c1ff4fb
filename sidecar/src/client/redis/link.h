// One connection to Redis, over TCP, TLS or a Unix socket, and its buffers. A link is never connected again after its
// close().
#pragma once

#include <hiredis/read.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/resolver.h"
#include "base/tls.h"
#include "client/redis/options.h"
#include "client/redis/reply.h"

namespace sealcast::client::redis {

class Link {
 public:
  using Protocol = asio::generic::stream_protocol;  // TCP or a Unix socket

  Link(const asio::any_io_executor& executor, std::size_t max_reply)
      : resolver(executor), socket(executor), max_reply_(max_reply), reader_(make_reader(), redisReaderFree) {}

  // `tls` is null for plain TCP.
  asio::awaitable<void> connect(const Address& address, TlsContexts* tls) {
    if (tls != nullptr) {
      const std::shared_ptr<asio::ssl::context> context = tls->context();
      tls_.emplace(socket, *context);  // OpenSSL counts the references to the context
    }
    const std::vector<Protocol::endpoint> endpoints = co_await resolve(address);
    co_await asio::async_connect(socket, endpoints, asio::use_awaitable);
    if (!address.path.empty()) co_return;
    socket.set_option(asio::ip::tcp::no_delay(true));
    socket.set_option(asio::socket_base::keep_alive(true));
    if (!tls_) co_return;
    expect_host(tls_->native_handle(), address.host);
    co_await tls_->async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  }

  template <typename Token>
  auto write(asio::const_buffer bytes, Token&& token) {
    return tls_ ? asio::async_write(*tls_, bytes, std::forward<Token>(token))
                : asio::async_write(socket, bytes, std::forward<Token>(token));
  }

  // Returns the next complete reply, or null when more bytes must be read first. Throws std::runtime_error when the
  // bytes are not valid in the Redis protocol (RESP), or when an array has more than kMaxElements elements.
  ReplyPtr next_reply() {
    void* reply = nullptr;
    if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) {
      const char* reason = reader_->err == REDIS_ERR_OOM ? "the array is too long" : reader_->errstr;
      throw std::runtime_error(std::string("the server sent an invalid reply: ") + reason);
    }
    if (reply != nullptr) received_ = 0;
    return ReplyPtr(static_cast<redisReply*>(reply));
  }

  asio::awaitable<ReplyPtr> read_reply() {
    for (;;) {
      ReplyPtr reply = next_reply();
      if (reply) co_return reply;
      co_await read_more();
    }
  }

  asio::awaitable<void> read_more() {
    const auto size = tls_ ? co_await tls_->async_read_some(asio::buffer(buffer_), asio::use_awaitable)
                           : co_await socket.async_read_some(asio::buffer(buffer_), asio::use_awaitable);
    received_ += size;
    if (received_ > max_reply_) {
      throw std::runtime_error("the server sent a reply of more than " + std::to_string(max_reply_) + " bytes");
    }
    redisReaderFeed(reader_.get(), buffer_.data(), size);
  }

  void close() {
    resolver.cancel();
    boost::system::error_code ignored;
    socket.close(ignored);
  }

  Resolver resolver;
  Protocol::socket socket;
  std::string pending;    // bytes of the next write
  std::string writing;    // bytes of the write in progress
  bool flushing = false;  // a write is posted or in progress
  std::string fault;      // why the client closed the connection; empty when the server or an error closed it

 private:
  static constexpr long long kMaxElements = 1'000'000;

  asio::awaitable<std::vector<Protocol::endpoint>> resolve(const Address& address) {
    std::vector<Protocol::endpoint> endpoints;
    if (!address.path.empty()) {
      endpoints.emplace_back(asio::local::stream_protocol::endpoint(address.path));
    } else {
      const auto found = co_await resolver.resolve(address.host, address.port);
      endpoints.assign(found.begin(), found.end());
    }
    co_return endpoints;
  }

  // The server announces the length of an array before its elements. hiredis allocates memory for this length at once,
  // and visits each element when it frees the array. So arrays with more than kMaxElements elements are rejected.
  static redisReader* make_reader() {
    redisReader* reader = redisReaderCreate();
    [[maybe_unused]] static const auto kUnbounded = reader->fn->createArray;  // GCC 12 would report it as unused
    static redisReplyObjectFunctions functions = *reader->fn;
    functions.createArray = [](const redisReadTask* task, auto elements) -> void* {
      return static_cast<long long>(elements) > kMaxElements ? nullptr : kUnbounded(task, elements);
    };
    reader->fn = &functions;
    return reader;
  }

  const std::size_t max_reply_;
  std::size_t received_ = 0;  // number of bytes since the last complete reply
  std::optional<asio::ssl::stream<Protocol::socket&>> tls_;
  std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader_;
  std::array<char, 16 * 1024> buffer_;
};

}  // namespace sealcast::client::redis
