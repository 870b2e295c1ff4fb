// Writes straight from the ring, as many frames in one call as the socket takes.
#include "transport/sse/subscriber.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <span>
#include <utility>

#include "transport/sse/hub.h"

namespace sealcast::transport::sse {

namespace {

// What readers send after their request is thrown away here.
std::array<char, 512> discarded;

}  // namespace

Subscriber::Subscriber(Hub& hub, Channel& channel, asio::ip::tcp::socket socket, std::uint64_t cursor, bool chunked)
    : hub_(&hub), channel_(&channel), socket_(std::move(socket)), cursor_(cursor), chunked_(chunked) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
}

void Subscriber::watch() {
  socket_.async_read_some(asio::buffer(discarded),
                          [self = shared_from_this()](boost::system::error_code ec, std::size_t) {
                            if (ec) return self->end(false);
                            self->watch();
                          });
}

void Subscriber::pump() {
  if (!hub_) return;
  const Ring& ring = channel_->ring;
  if (waiting_) {
    // A reader that takes nothing keeps its place only while the ring holds what it lacks.
    if (cursor_ < ring.begin()) end(true);
    return;
  }
  std::array<asio::const_buffer, kGather> buffers;
  auto bytes_of = [this](const Chunk& chunk) {
    return chunked_ ? asio::buffer(chunk.bytes)
                    : asio::buffer(chunk.bytes.data() + chunk.head, chunk.bytes.size() - chunk.head - Chunk::kTail);
  };
  while (true) {
    if (cursor_ < ring.begin()) return end(true);
    std::size_t count = 0;
    if (partial_) buffers[count++] = bytes_of(*partial_) + sent_;
    for (std::uint64_t number = cursor_; number < ring.end() && count < kGather; ++number) {
      buffers[count++] = bytes_of(*ring[number]);
    }
    if (count == 0) return;
    boost::system::error_code ec;
    std::size_t written = socket_.write_some(std::span<const asio::const_buffer>(buffers.data(), count), ec);
    if (ec == asio::error::would_block) {
      waiting_ = true;
      socket_.async_wait(socket_.wait_write, [self = shared_from_this()](boost::system::error_code failed) {
        self->waiting_ = false;
        if (failed) return self->end(false);
        self->pump();
      });
      return;
    }
    if (ec) return end(false);
    wrote_ = true;
    for (std::size_t i = 0; i < count && written > 0; ++i) {
      std::size_t size = buffers[i].size();
      bool whole = written >= size;
      bool first = i == 0 && partial_;
      if (!first && whole) {
        ++cursor_;
        hub_->count_frame();
      } else if (!first) {
        partial_ = ring[cursor_++];
        sent_ = written;
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

void Subscriber::send(ChunkPtr chunk) {
  if (waiting_ || partial_) return;
  partial_ = std::move(chunk);
  pump();
}

void Subscriber::farewell(std::string_view text, std::string_view end_of_chunks) {
  pump();
  if (waiting_ || partial_ || !hub_) return;
  std::string last = chunked_ ? render_chunk(text)->bytes : std::string(text);
  if (chunked_) last += end_of_chunks;
  boost::system::error_code ignored;
  socket_.write_some(asio::buffer(last), ignored);
}

void Subscriber::end(bool dropped) {
  if (hub_) hub_->remove(*this, dropped);
}

void Subscriber::close() {
  hub_ = nullptr;
  boost::system::error_code ignored;
  socket_.shutdown(socket_.shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace sealcast::transport::sse
