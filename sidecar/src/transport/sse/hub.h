// The `sse` transport: all SSE readers (Server-Sent Events) of one channel on this sidecar.
//
// Each stream with readers has a ring of its newest frames and a list of subscribers. Each frame is rendered once for
// all subscribers. A subscriber records which frame of the ring its reader needs next. When the ring has already
// replaced that frame, the hub drops the reader. The reader reconnects and resumes from its last `id`.
//
// A new reader misses no frame, because its request takes these steps in this order:
// 1. The caller calls reserve(). From now on the stream's ring gets all published frames.
// 2. The caller calls wait_for_position(). A relay without a position could skip messages, so readers wait until the
//    relay calls publish() for the first time.
// 3. The caller reads the stream's last offset and the epoch of the log from Postgres. The relay publishes all later
//    frames to the ring. When the hub has another log_epoch(), the database was just restored: the caller refuses the
//    reader. The caller also reads the newest redaction, and calls is_clean().
// 4. The caller calls subscribe(). The reader gets earlier frames from Postgres, page by page, until the ring has all
//    later frames. The hub compares offsets, so that the reader gets no frame twice.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "base/event.h"
#include "base/memory_budget.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "transport/frame_history.h"
#include "transport/reader_access.h"
#include "transport/sse/ring.h"
#include "transport/sse/subscriber.h"
#include "transport/transport.h"

namespace sealcast::transport::sse {

struct Joiner;

class Hub final : public Transport {
 public:
  using Clock = std::chrono::steady_clock;

  // The references must stay valid as long as this object.
  Hub(asio::any_io_executor executor, Channel channel, FrameHistory& history, Metrics& metrics, MemoryBudget& memory,
      const config::Settings::Sse& settings);
  ~Hub() override;

  std::string_view name() const override { return "sse"; }
  Channel channel() const override { return channel_; }
  void publish(std::span<const FramePtr> frames, std::span<const Lead>) override;
  // Empties all rings, and disconnects all readers, so that they resume from Postgres.
  void begin_log(std::string_view log_epoch) override;
  // The epoch of the frames in the rings. Empty before the first begin_log().
  const std::string& log_epoch() const { return log_epoch_; }
  // True only for the hub of the public channel. Both hubs have the name `sse`, so the progress is recorded only once.
  bool delivers_at_once() const override { return channel_ == Channel::everyone; }

  // Returns true as soon as the relay has a position. Returns false when the relay has no position at `deadline`, or
  // when end_waits() or close() is called before the relay has a position.
  asio::awaitable<bool> wait_for_position(Clock::time_point deadline);

  // Called when a shutdown begins: new readers wait neither for a position nor for Postgres.
  void end_waits();
  bool waits_ended() const { return waits_ended_; }

  // While it exists, the hub keeps the stream's ring and counts one more reader in size(). A new reader has a
  // reservation until it is a subscriber.
  class Reservation {
   public:
    Reservation(Hub& hub, StreamReaders& readers, const std::string& user_id);
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation();
    StreamReaders& readers() const { return *readers_; }
    // Takes the notices to the user since reserve(). Returns nullopt when there were too many to keep.
    std::optional<std::vector<ChunkPtr>> take_notices() const;

   private:
    Hub* hub_;
    StreamReaders* readers_;
    std::unique_ptr<Joiner> joiner_;  // null for a reader without a session
  };
  // `user_id` is empty for a reader without a session.
  Reservation reserve(const std::string& stream_id, const std::string& user_id = {});

  // Returns whether no frame of the stream's ring holds content that the newest redaction of the stream has erased, as
  // far as the hub knows. A reader of a ring that is not clean gets the older frames from Postgres.
  // `newest_redaction` was read from Postgres after reserve().
  bool is_clean(const Reservation& reservation, std::int64_t newest_redaction) const;
  // Returns whether to look up the offset of the announcement: at most 4 times a second for each stream.
  bool may_check_redaction(const Reservation& reservation) const;
  // Tells the hub at which offset the redaction was announced. Returns is_clean().
  bool note_redaction(const Reservation& reservation, std::int64_t newest_redaction, std::int64_t announced_at) const;

  struct Reader {
    ReaderIdentity identity;
    asio::ip::tcp::socket socket;
    std::string head;            // the status line and the headers of the HTTP response
    bool chunked;                // true for HTTP/1.1, false for HTTP/1.0
    std::int64_t after;          // the last offset that the reader has
    std::int64_t last_offset;    // the newest offset of the stream, read from Postgres after reserve()
    std::string log_epoch;       // of both offsets, read from Postgres together with last_offset
    bool reset;                  // the resume point of the reader cannot be used, so the hub sends a reset first
    std::string retained{};      // events that the reader gets before all others
    std::int64_t ring_from = 0;  // up to this offset the reader gets frames from Postgres, also if the ring has them
    // The hub sets these two while the reader catches up.
    bool ended = false;                              // the hub ends this reader
    std::weak_ptr<asio::ip::tcp::socket> writing{};  // the socket, while bytes are written to it
  };
  // Returns when the reader has caught up and is a subscriber. Closes the connection instead when a write or a read
  // from Postgres fails, when the hub is closed, or when this cell no longer serves the stream.
  asio::awaitable<void> subscribe(Reservation reservation, Reader reader);

  bool full() const { return size() >= settings_.max_subscribers; }
  std::size_t size() const { return subscribers_.size() + reservations_; }

  // Returns whether this cell serves a stream. When the function is not set, the cell serves all streams.
  std::function<bool(const std::string& stream_id)> serves;
  // Disconnects the subscribers of all streams that this cell no longer serves. `serves` must be set. Each subscriber
  // first gets the pause before it may reconnect, as the SSE field `retry`.
  void disconnect_moved_streams();

  // For the checks of the right to read (access_checks.h), and for the followers of streams.
  std::vector<std::string> streams_with_readers() const;
  // Adds the users who read the stream to `out`, each user once. Readers without a session are one user.
  void add_users(const std::string& stream_id, std::vector<ReaderKey>& out) const;
  // Ends the event streams of the readers for whom `code_of` returns a code and not an empty text. Each gets the code
  // in a comment, and none of the frames that it has not read yet. Returns the number of readers.
  std::size_t end_readers(const std::string& stream_id,
                          const std::function<std::string_view(const ReaderIdentity&)>& code_of);

  // For notices (notices.h). Calls `visit` for each reader whose session has not expired, also for those that are not
  // subscribers yet.
  using Visit = std::function<void(const std::string& stream_id, const std::string& user_id)>;
  void visit_users(const Visit& visit) const;
  // Sends each of these readers the chunks that `add_notices` adds to `out`. Calls it for all readers before anything
  // is awaited.
  using AddNotices =
      std::function<void(const std::string& stream_id, const std::string& user_id, std::vector<ChunkPtr>& out)>;
  asio::awaitable<void> send_notices(const AddNotices& add_notices);

  // Disconnects all subscribers. Each first gets the pause before it may reconnect, as the SSE field `retry`.
  void close();

 private:
  friend class Subscriber;
  void remove(Subscriber& subscriber, bool dropped);
  void count_frame() { ++frames_sent_; }

  asio::awaitable<std::int64_t> catch_up(const Reservation& reservation, Reader& reader);
  void trim_ring(StreamReaders& readers, std::size_t max_bytes);
  // Replaces the content of redacted messages in the ring, for the readers that have not got them yet.
  void redact(StreamReaders& readers, const Redaction& redaction);
  void schedule_round(StreamReaders& readers);
  void write_round(StreamReaders& readers, std::size_t first);
  void send_heartbeats();
  void disconnect(std::span<const std::shared_ptr<Subscriber>> leaving);
  void erase_if_unused(StreamReaders& readers);

  asio::any_io_executor executor_;
  Channel channel_;
  FrameHistory& history_;
  Metrics& metrics_;
  MemoryBudget& memory_;
  config::Settings::Sse settings_;
  std::unordered_map<std::string, std::unique_ptr<StreamReaders>> streams_;
  std::vector<std::shared_ptr<Subscriber>> subscribers_;
  std::size_t reservations_ = 0;
  std::string log_epoch_;
  std::uint64_t frames_sent_ = 0;  // not yet added to the metric

  asio::steady_timer heartbeat_timer_;
  ChunkPtr heartbeat_;
  std::size_t ticks_ = 0;         // expirations of heartbeat_timer_ in the current pass over the subscribers
  std::size_t next_checked_ = 0;  // the index of the subscriber that the pass checks next

  Event position_or_end_;
  bool has_position_ = false;
  bool waits_ended_ = false;
  bool closed_ = false;
};

}  // namespace sealcast::transport::sse
