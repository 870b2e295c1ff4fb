// One reader of a stream: a socket and a place in the ring. It owns no frame, except one that was sent half.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/asio.h"
#include "transport/sse/ring.h"

namespace sealcast::transport::sse {

class Hub;
struct Channel;

class Subscriber : public std::enable_shared_from_this<Subscriber> {
 public:
  static constexpr std::size_t kGather = 64;  // frames in one call of Asio

  Subscriber(Hub& hub, Channel& channel, asio::ip::tcp::socket socket, std::uint64_t cursor, bool chunked);

  void watch();               // notices when the reader goes
  void pump();                // writes what the ring has and the socket takes
  void send(ChunkPtr chunk);  // out of band (a heartbeat); ignored while something waits for the socket
  void farewell(std::string_view text, std::string_view end_of_chunks);  // last words, when the socket takes them
  void close();                                                          // forgets the hub; the socket closes

  Channel& channel() const { return *channel_; }
  bool attached() const { return hub_ != nullptr; }
  bool wrote_since_look() { return std::exchange(wrote_, false); }

  std::uint32_t index = 0;          // among the hub's subscribers
  std::uint32_t channel_index = 0;  // among the channel's

 private:
  void end(bool dropped);

  Hub* hub_;
  Channel* channel_;
  asio::ip::tcp::socket socket_;
  std::uint64_t cursor_;
  ChunkPtr partial_;      // began to be sent, or out of band
  std::size_t sent_ = 0;  // bytes of partial_
  bool chunked_;
  bool waiting_ = false;  // for the socket to take more
  bool wrote_ = false;
};

}  // namespace sealcast::transport::sse
