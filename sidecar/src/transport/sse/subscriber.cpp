// Writes frames directly from the ring to the socket of one SSE reader, many frames in one system call.
#include "transport/sse/subscriber.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <span>
#include <utility>

#include "transport/sse/hub.h"
#include "transport/sse/stream_readers.h"

namespace sealcast::transport::sse {

namespace {

// Readers may send bytes after their request. These bytes are ignored, so all subscribers read into the same buffer.
std::array<char, 512> discarded;

}  // namespace

Subscriber::Subscriber(Hub& hub, StreamReaders& readers, ReaderIdentity identity, asio::ip::tcp::socket socket,
                       std::uint64_t next, bool chunked)
    : hub_(&hub),
      readers_(&readers),
      identity_(std::move(identity)),
      socket_(std::move(socket)),
      next_(next),
      chunked_(chunked) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
}

void Subscriber::watch_for_close() {
  socket_.async_read_some(asio::buffer(discarded),
                          [self = shared_from_this()](boost::system::error_code ec, std::size_t) {
                            if (ec) return self->leave(false);
                            self->watch_for_close();
                          });
}

void Subscriber::write_frames() {
  if (!hub_) return;
  const Ring& ring = readers_->ring;
  if (waiting_) {
    if (next_ < ring.begin()) leave(true);
    return;
  }
  std::array<asio::const_buffer, kGather> buffers;
  auto bytes_of = [this](const Chunk& chunk) {
    return chunked_ ? asio::buffer(chunk.bytes)
                    : asio::buffer(chunk.bytes.data() + chunk.head, chunk.bytes.size() - chunk.head - Chunk::kTail);
  };
  while (true) {
    if (next_ < ring.begin()) return leave(true);
    if (!partial_ && !notices_.empty()) {
      partial_ = std::move(notices_.front());
      notices_.erase(notices_.begin());
    }
    std::size_t count = 0;
    if (partial_) buffers[count++] = bytes_of(*partial_) + sent_;
    for (std::uint64_t number = next_; number < ring.end() && count < kGather; ++number) {
      buffers[count++] = bytes_of(*ring[number]);
    }
    if (count == 0) return;
    boost::system::error_code ec;
    std::size_t written = socket_.write_some(std::span<const asio::const_buffer>(buffers.data(), count), ec);
    if (ec == asio::error::would_block) {
      waiting_ = true;
      socket_.async_wait(socket_.wait_write, [self = shared_from_this()](boost::system::error_code failed) {
        self->waiting_ = false;
        if (failed) return self->leave(false);
        self->write_frames();
      });
      return;
    }
    if (ec) return leave(false);
    wrote_ = true;
    for (std::size_t i = 0; i < count && written > 0; ++i) {
      const std::size_t size = buffers[i].size();
      const bool whole = written >= size;
      const bool is_partial = i == 0 && partial_;
      if (!is_partial) {
        if (!whole) {
          partial_ = ring[next_];
          sent_ = written;
        }
        ++next_;
        hub_->count_frame();
      } else if (whole) {
        partial_.reset();
        sent_ = 0;
      } else {
        sent_ += written;
      }
      written -= whole ? size : written;
    }
  }
}

void Subscriber::send_heartbeat(ChunkPtr chunk) {
  if (waiting_ || partial_) return;
  partial_ = std::move(chunk);
  write_frames();
}

void Subscriber::send_notice(ChunkPtr chunk) {
  if (!hub_) return;
  if (notices_.size() >= kMaxNotices) return leave(true);
  notices_.push_back(std::move(chunk));
  write_frames();
}

void Subscriber::send_last(std::string_view text, std::string_view end_of_chunks) {
  write_frames();
  send_end(text, end_of_chunks);
}

void Subscriber::send_end(std::string_view text, std::string_view end_of_chunks) {
  if (waiting_ || partial_ || !hub_) return;
  std::string last = chunked_ ? render_chunk(text)->bytes : std::string(text);
  if (chunked_) last += end_of_chunks;
  boost::system::error_code ignored;
  socket_.write_some(asio::buffer(last), ignored);
}

void Subscriber::leave(bool dropped) {
  if (hub_) hub_->remove(*this, dropped);
}

void Subscriber::close() {
  hub_ = nullptr;
  boost::system::error_code ignored;
  socket_.shutdown(socket_.shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace sealcast::transport::sse
