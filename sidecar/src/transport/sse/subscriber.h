// One SSE reader: a socket and its place in the ring. It owns no frame, except one that is partly sent.
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
struct StreamReaders;

class Subscriber : public std::enable_shared_from_this<Subscriber> {
 public:
  // The largest number of frames in one system call: Asio passes no more buffers at once.
  static constexpr std::size_t kGather = 64;

  // `next` is the ring's number of the first frame that the reader needs. `hub` and `readers` outlive close().
  Subscriber(Hub& hub, StreamReaders& readers, asio::ip::tcp::socket socket, std::uint64_t next, bool chunked);

  // Leaves the hub when the reader closes the connection.
  void watch_for_close();
  // Writes the frames that the reader needs, as far as the socket accepts them. Leaves the hub when the ring has
  // already replaced the next frame.
  void write_frames();
  // Sends a comment between frames. Does nothing while other bytes wait for the socket: the reader does not need both.
  void send_heartbeat(ChunkPtr chunk);
  // Writes the remaining frames, then `text`, as far as the socket accepts them at once.
  void send_last(std::string_view text, std::string_view end_of_chunks);
  // Only the hub calls this.
  void close();

  StreamReaders& readers() const { return *readers_; }
  bool is_open() const { return hub_ != nullptr; }
  bool wrote_since_last_check() { return std::exchange(wrote_, false); }

  std::uint32_t hub_index = 0;     // in the hub's list of all subscribers
  std::uint32_t stream_index = 0;  // in StreamReaders::subscribers

 private:
  void leave(bool dropped);

  Hub* hub_;
  StreamReaders* readers_;
  asio::ip::tcp::socket socket_;
  std::uint64_t next_;
  ChunkPtr partial_;      // a frame that is partly sent, or a heartbeat
  std::size_t sent_ = 0;  // bytes of partial_
  bool chunked_;
  bool waiting_ = false;  // until the socket is writable
  bool wrote_ = false;
};

}  // namespace sealcast::transport::sse
