// A hub with real sockets, and readers whose bytes a test sees.
#pragma once

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"
#include "message/history.h"
#include "support/async.h"
#include "transport/sse/hub.h"

namespace sealcast::transport::sse {

using std::chrono::milliseconds;
using tcp = asio::ip::tcp;

inline constexpr char kStream[] = "0190d000-0000-7000-8000-000000000001";

class SseHub : public testing::Test {
 protected:
  explicit SseHub(milliseconds heartbeat = milliseconds(60'000)) {
    const config::Settings::Sse settings{.heartbeat = heartbeat,
                                         .max_subscribers = 100,
                                         .ring_frames = 64,
                                         .ring_bytes = kRingBytes,
                                         .retry = milliseconds(2000)};
    hub_ = std::make_unique<Hub>(io_.get_executor(), Channel::everyone, history_, metrics_, memory_, settings);
  }
  ~SseHub() override {
    hub_->close();
    clients_.clear();
    io_.restart();
    io_.run_for(milliseconds(200));
  }

  struct Client {
    explicit Client(tcp::socket connected) : socket(std::move(connected)) { socket.non_blocking(true); }
    tcp::socket socket;
    std::string text;
    bool ended = false;
    void read() {
      char bytes[65536];
      boost::system::error_code ec;
      for (std::size_t size; (size = socket.read_some(asio::buffer(bytes), ec)) > 0;) text.append(bytes, size);
      ended = ended || (ec && ec != asio::error::would_block);
    }
  };

  Client& connect(std::int64_t after = 0, bool chunked = true, int send_buffer = 0) {
    double before = metrics_.sse_subscribers.Value();
    Client& made = start_connecting(after, chunked, send_buffer);
    EXPECT_TRUE(test::run_until(io_, [&] {
      made.read();
      return made.text.find("retry: 2000") != made.text.npos && metrics_.sse_subscribers.Value() == before + 1;
    }));
    return made;
  }

  // Starts subscribe(). Returns before the reader is a subscriber.
  Client& start_connecting(std::int64_t after = 0, bool chunked = true, int send_buffer = 0, std::int64_t ring_from = 0,
                           const ReaderIdentity& identity = {}) {
    tcp::acceptor acceptor(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket client(io_), server(io_);
    client.connect(acceptor.local_endpoint());
    acceptor.accept(server);
    if (send_buffer > 0) {
      server.set_option(asio::socket_base::send_buffer_size(send_buffer));
      client.set_option(asio::socket_base::receive_buffer_size(send_buffer));
    }
    clients_.push_back(std::make_unique<Client>(std::move(client)));
    asio::co_spawn(io_,
                   hub_->subscribe(hub_->reserve(kStream, identity.user_id), {.identity = identity,
                                                                              .socket = std::move(server),
                                                                              .head = "HEAD\r\n\r\n",
                                                                              .chunked = chunked,
                                                                              .after = after,
                                                                              .last_offset = std::max(after, ring_from),
                                                                              .log_epoch = {},
                                                                              .reset = false,
                                                                              .ring_from = ring_from}),
                   asio::detached);
    return *clients_.back();
  }

  void publish(std::int64_t first, std::int64_t last, std::size_t bytes = 10) {
    std::vector<FramePtr> frames;
    for (std::int64_t offset = first; offset <= last; ++offset) {
      auto frame =
          std::make_shared<Frame>(Frame{kStream, offset, offset - 1, 0, offset, "{" + std::string(bytes, 'x') + "}"});
      frames.push_back(frame);
    }
    hub_->publish(frames, {});
  }

  bool has(Client& client, const std::string& text) {
    return test::run_until(io_, [&] {
      client.read();
      return client.text.find(text) != client.text.npos;
    });
  }

  static std::vector<int> offsets(const Client& client) {
    std::vector<int> found;
    for (std::size_t at = 0; (at = client.text.find("id: ", at)) != client.text.npos; ++at) {
      found.push_back(std::stoi(client.text.substr(at + 4)));
    }
    return found;
  }

  static constexpr std::size_t kRingBytes = 1'000'000;
  static constexpr std::size_t kMaxMemory = 100'000'000;

  asio::io_context io_;
  Metrics metrics_;
  MemoryBudget memory_{io_.get_executor(), metrics_, kMaxMemory};
  postgres::Pool pool_{io_.get_executor(), {{}, "none", milliseconds(100)}, 1};
  message::History history_{io_.get_executor(), pool_};
  std::unique_ptr<Hub> hub_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace sealcast::transport::sse
