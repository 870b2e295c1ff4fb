// The `sse` transport: all SSE readers (Server-Sent Events) of one channel on this sidecar.
//
// Each stream with readers has a ring of its newest frames, each rendered once, and a list of subscribers. A subscriber
// is a place in the ring. The hub drops a reader whose place the ring has already overwritten. That reader reconnects
// and resumes from its last `id`.
//
// A new reader misses no frame, because the steps have this order:
// 1. reserve(): from now on the stream's ring gets all published frames.
// 2. wait_for_position(): without a position the relay could skip messages, so readers wait for its first publish().
// 3. The caller reads the stream's last offset from Postgres. All later frames will be in the ring.
// 4. subscribe(): the reader gets earlier frames from Postgres, page by page, until the ring continues them. The hub
//    compares offsets, so that the reader gets no frame twice.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "base/event.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "transport/frame_history.h"
#include "transport/sse/ring.h"
#include "transport/transport.h"

namespace sealcast::transport::sse {

class Subscriber;
struct StreamReaders;

class Hub final : public Transport {
 public:
  using Clock = std::chrono::steady_clock;

  // `history` and `metrics` outlive this.
  Hub(asio::any_io_executor executor, Channel channel, FrameHistory& history, Metrics& metrics,
      const config::Settings::Sse& settings);
  ~Hub() override;

  std::string_view name() const override { return "sse"; }
  Channel channel() const override { return channel_; }
  void publish(std::span<const FramePtr> frames, std::span<const Lead>) override;
  // Only the public hub: both hubs have the name `sse`, and one recorded progress per name is enough.
  bool delivers_at_once() const override { return channel_ == Channel::everyone; }

  // Returns true once the relay has a position, false when it still has none at `deadline` or at close().
  asio::awaitable<bool> wait_for_position(Clock::time_point deadline);

  // Keeps a stream's ring, and one of the places for readers, until its owner has become a subscriber.
  class Reservation {
   public:
    Reservation(Hub& hub, StreamReaders& readers);
    Reservation(Reservation&& other) noexcept : hub_(other.hub_), readers_(std::exchange(other.readers_, nullptr)) {}
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation();
    StreamReaders& readers() const { return *readers_; }

   private:
    Hub* hub_;
    StreamReaders* readers_;
  };
  Reservation reserve(const std::string& stream_id);

  struct Reader {
    asio::ip::tcp::socket socket;
    std::string head;          // of the HTTP response; sent first
    bool chunked;              // false for HTTP/1.0
    std::int64_t after;        // the last offset that the reader has
    std::int64_t last_offset;  // of the stream, read after reserve()
    bool reset;                // `after` is not the offset that the reader asked for
  };
  // Returns when the reader has caught up and is a subscriber, or its connection is closed.
  asio::awaitable<void> subscribe(Reservation reservation, Reader reader);

  bool full() const { return size() >= settings_.max_subscribers; }
  std::size_t size() const { return subscribers_.size() + reservations_; }

  // Whether this cell serves a stream; unset: all streams.
  std::function<bool(const std::string& stream_id)> serves;
  // Disconnects the readers of streams that are no longer served here. Tells each when to reconnect.
  void disconnect_moved_streams();

  // Disconnects all readers. Tells each when to reconnect.
  void close();

 private:
  friend class Subscriber;
  void remove(Subscriber& subscriber, bool dropped);
  void count_frame() { ++frames_sent_; }

  asio::awaitable<std::int64_t> catch_up(StreamReaders& readers, Reader& reader);
  void schedule_round(StreamReaders& readers);
  void write_round(StreamReaders& readers, std::size_t first);
  void send_heartbeats();
  void disconnect(std::span<const std::shared_ptr<Subscriber>> leaving);
  void erase_if_unused(StreamReaders& readers);

  asio::any_io_executor executor_;
  Channel channel_;
  FrameHistory& history_;
  Metrics& metrics_;
  config::Settings::Sse settings_;
  std::unordered_map<std::string, std::unique_ptr<StreamReaders>> streams_;
  std::vector<std::shared_ptr<Subscriber>> subscribers_;
  std::size_t reservations_ = 0;
  std::uint64_t frames_sent_ = 0;  // since the metric was increased last

  asio::steady_timer heartbeat_timer_;
  ChunkPtr heartbeat_;
  std::size_t ticks_ = 0;         // of heartbeat_timer_ in the current pass over the subscribers
  std::size_t next_checked_ = 0;  // the index of the subscriber that the pass checks next

  Event position_or_close_;
  bool has_position_ = false;
  bool closed_ = false;
};

}  // namespace sealcast::transport::sse
