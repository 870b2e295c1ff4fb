// One SSE reader: a socket, and the number of the next frame in the ring. The frames stay in the ring. The subscriber
// keeps only a frame that is partly sent.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "transport/sse/ring.h"

namespace sealcast::transport::sse {

class Hub;
struct StreamReaders;

// Who reads, as far as the right to read depends on it.
struct ReaderIdentity {
  std::string user_id;            // empty for a reader without a session
  std::int64_t session_ends = 0;  // Unix seconds; has no meaning without a session

  bool has_session(std::int64_t now) const { return !user_id.empty() && now < session_ends; }
};

class Subscriber : public std::enable_shared_from_this<Subscriber> {
 public:
  // The largest number of frames in one system call. Asio passes at most 64 buffers to one call.
  static constexpr std::size_t kGather = 64;
  static constexpr std::size_t kMaxNotices = 8;

  // `next` is the number, in the ring, of the first frame that the reader needs. `hub` and `readers` must stay valid
  // until close() is called.
  Subscriber(Hub& hub, StreamReaders& readers, ReaderIdentity identity, asio::ip::tcp::socket socket,
             std::uint64_t next, bool chunked);

  // Waits until the reader closes the connection, then removes the subscriber from the hub.
  void watch_for_close();
  // Writes new frames while the socket accepts bytes, and continues by itself when the socket is writable again.
  // Removes the subscriber from the hub when a write fails, or when the ring has already replaced the next frame.
  void write_frames();
  // Sends a keep-alive comment. Does nothing while other bytes wait for the socket, because these bytes also keep the
  // connection alive.
  void send_heartbeat(ChunkPtr chunk);
  // Sends an event of its own beside the frames, as soon as the socket accepts it. A reader that leaves kMaxNotices of
  // them waiting is removed from the hub: it gets them again when it reconnects.
  void send_notice(ChunkPtr chunk);
  // Writes the remaining frames, then `text`, then, for an HTTP/1.1 reader, `end_of_chunks`. Does not wait: bytes that
  // the socket does not accept now are dropped.
  void send_last(std::string_view text, std::string_view end_of_chunks);
  // Like send_last(), without the remaining frames: the reader may not read them.
  void send_end(std::string_view text, std::string_view end_of_chunks);
  // Closes the socket. Only Hub::remove() calls this.
  void close();

  StreamReaders& readers() const { return *readers_; }
  const ReaderIdentity& identity() const { return identity_; }
  std::uint64_t next() const { return next_; }  // the number of the next frame in the ring
  bool lags() const { return waiting_; }        // bytes wait for the reader
  bool is_open() const { return hub_ != nullptr; }
  bool wrote_since_last_check() { return std::exchange(wrote_, false); }

  std::uint32_t hub_index = 0;     // in the hub's list of all subscribers
  std::uint32_t stream_index = 0;  // in StreamReaders::subscribers

 private:
  void leave(bool dropped);

  Hub* hub_;
  StreamReaders* readers_;
  ReaderIdentity identity_;
  asio::ip::tcp::socket socket_;
  std::uint64_t next_;
  ChunkPtr partial_;      // a frame that is partly sent, a keep-alive comment, or a notice
  std::size_t sent_ = 0;  // number of bytes of partial_ that are sent
  std::vector<ChunkPtr> notices_;
  bool chunked_;
  bool waiting_ = false;  // the subscriber waits until the socket is writable
  bool wrote_ = false;
};

}  // namespace sealcast::transport::sse
