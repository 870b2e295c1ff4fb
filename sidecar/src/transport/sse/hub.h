// The `sse` transport: every reader of one channel of every stream on this sidecar (Server-Sent Events).
//
// A stream that somebody reads here has a channel: a ring of its newest frames, each rendered once, and its
// subscribers, each a cursor into the ring. A reader that falls out of the ring is cut off; its last `id` is where it
// resumes.
//
// Attaching loses nothing: pin() makes the channel, whose ring from then on takes all that the relay publishes; only
// then is Postgres asked how far the stream has come (`last_offset`). Whatever is after that will be in the ring; what
// the reader misses up to there is paged from Postgres, until the ring continues it. Frames are told apart by offset.
// A relay that has no position yet would begin behind that: so readers wait for its first word.
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
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"
#include "transport/frame_history.h"
#include "transport/sse/ring.h"
#include "transport/sse/subscriber.h"
#include "transport/transport.h"

namespace sealcast::transport::sse {

struct HubSettings {
  transport::Channel channel;
  std::chrono::milliseconds heartbeat;
  std::chrono::milliseconds retry;  // how long a reader that lost us waits before it comes back
  std::size_t max_subscribers;
  std::size_t ring_frames;
};

using Clock = std::chrono::steady_clock;

struct Channel {
  Channel(const asio::any_io_executor& executor, std::size_t frames) : ring(frames), pace(executor) {}

  std::string stream_id;
  Ring ring;
  std::int64_t last_offset = 0;  // of what was published here
  std::vector<Subscriber*> subscribers;
  std::size_t pins = 0;  // readers that are attaching
  bool dirty = false;    // has frames that no turn has begun with
  bool turning = false;  // a turn over the subscribers is under way, or waits for `next_turn`
  Clock::time_point turn_began;
  std::uint64_t turn_end = 0;  // the ring's end then
  Clock::time_point next_turn;
  asio::steady_timer pace;  // until then
};

class Hub final : public Transport {
 public:
  // `history` and `metrics` outlive this.
  Hub(asio::any_io_executor executor, FrameHistory& history, Metrics& metrics, HubSettings settings);
  ~Hub() override;

  std::string_view name() const override { return "sse"; }
  transport::Channel channel() const override { return settings_.channel; }
  void publish(std::span<const FramePtr> frames, std::span<const Lead>) override;
  // One record of what `sse` has delivered is enough.
  bool delivers_at_once() const override { return settings_.channel == transport::Channel::everyone; }

  // Keeps a channel while somebody attaches to it.
  class Pin {
   public:
    Pin(Hub& hub, Channel& channel);
    Pin(Pin&& other) noexcept : hub_(other.hub_), channel_(std::exchange(other.channel_, nullptr)) {}
    Pin& operator=(Pin&&) = delete;
    ~Pin();
    Channel& channel() const { return *channel_; }

   private:
    Hub* hub_;
    Channel* channel_;
  };
  Pin pin(const std::string& stream_id);

  // Whether the relay has a position, from which on it publishes everything. Waits for it, at most until `deadline`.
  asio::awaitable<bool> begun(Clock::time_point deadline);

  struct Reader {
    asio::ip::tcp::socket socket;
    std::string head;          // of the HTTP answer; sent first
    bool chunked;              // false for HTTP/1.0
    std::int64_t after;        // the last offset the reader has
    std::int64_t last_offset;  // of the stream, read after pin()
    bool reset;                // `after` is not what the reader asked for
  };
  // Serves the reader until it is live; from then on the hub does.
  asio::awaitable<void> attach(Pin pin, Reader reader);

  bool full() const { return subscribers_.size() + attaching_ >= settings_.max_subscribers; }
  std::size_t size() const { return subscribers_.size() + attaching_; }

  // Whether a stream is served here; unset: all are.
  std::function<bool(const std::string& stream_id)> serves;
  // Ends the subscriptions of streams that are not served here any more, telling the readers when to come back.
  void dismiss_moved();

  // Ends every subscription, telling the readers when to come back.
  void close();

 private:
  friend class Subscriber;
  void remove(Subscriber& subscriber, bool dropped);
  void count_frame() { ++frames_sent_; }

  void schedule(Channel& channel);
  void turn(Channel& channel, std::size_t from);
  void release(Channel& channel);
  void dismiss(std::span<const std::shared_ptr<Subscriber>> leaving);
  asio::awaitable<std::int64_t> catch_up(Channel& channel, Reader& reader, asio::steady_timer& patience);
  void tick();

  asio::any_io_executor executor_;
  FrameHistory& history_;
  Metrics& metrics_;
  HubSettings settings_;
  std::unordered_map<std::string, std::unique_ptr<Channel>> channels_;
  std::vector<std::shared_ptr<Subscriber>> subscribers_;
  std::size_t attaching_ = 0;
  std::size_t beat_ = 0;       // ticks since the subscribers began to be looked at
  std::size_t next_look_ = 0;  // who is looked at next
  std::uint64_t frames_sent_ = 0;
  asio::steady_timer ticker_;
  ChunkPtr heartbeat_;
  bool begun_ = false;
  bool closed_ = false;
};

}  // namespace sealcast::transport::sse
