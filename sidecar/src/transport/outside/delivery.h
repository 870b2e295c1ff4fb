// Delivery to one service outside: every message of the shards led here, in order per stream, at least once.
//
// Model. The relay hands over what it has just numbered. As long as there is room it is queued, a queue a stream, with
// one publish under way for each stream; a shard whose frames found no room is behind and catches up from Postgres, by
// the numbers of its batches. What is delivered is settled: a cursor for each shard, recorded every second, from which
// whoever leads the shard next goes on.
//
// When a publish fails, what is held up depends on what failed:
// - the service: the whole transport pauses, with one publish at a time to try it again;
// - a stream (its channel is refused, or takes less than comes): the stream lags. It gets a cursor of its own, which
//   lets go of its shard's, and is read from Postgres from there on until it has caught up;
// - a message: it becomes a dead letter, and its stream goes on.
//
// Bounds. `max_frames` frames and `max_bytes` are in memory, whatever the service does; the other transports share
// neither queue, connection nor cursor with this one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/asio.h"
#include "base/log.h"
#include "base/metrics.h"
#include "transport/outside/adapter.h"
#include "transport/outside/ledger.h"
#include "transport/outside/progress.h"
#include "transport/outside/routing.h"
#include "transport/transport.h"

namespace sealcast::transport::outside {

struct DeliverySettings {
  std::string dsn;
  std::chrono::milliseconds statement_timeout;
  std::chrono::milliseconds publish_timeout;
  std::chrono::milliseconds give_up;  // a stream that fails for this long loses the message at its head
  std::size_t max_in_flight;          // publishes, of different streams
  std::size_t max_frames;
  std::size_t max_bytes;
};

class Delivery final : public Transport {
 public:
  using Clock = std::chrono::steady_clock;

  // `metrics` and `routing` outlive this.
  Delivery(asio::any_io_executor executor, Metrics& metrics, const Routing& routing, RegisteredAdapter registered,
           DeliverySettings settings);
  ~Delivery() override;

  void start();
  // Delivers what is queued while the service takes it, records how far it came, and ends. Gives up at `deadline`.
  asio::awaitable<void> finish(Clock::time_point deadline);

  std::string_view name() const override { return name_; }
  Channel channel() const override { return channel_; }
  void publish(std::span<const FramePtr> frames, std::span<const Lead> leads) override;
  bool delivers_at_once() const override { return false; }

 private:
  struct Item {
    FramePtr frame;
    std::int64_t epoch;
    bool replay;  // a dead letter that somebody wants delivered
  };
  struct Stream {
    enum class State { idle, ready, publishing, waiting, burying };
    enum class Lag { none, unsaved, saved };

    std::string id;
    std::int32_t shard;
    std::deque<Item> items;
    State state = State::idle;
    std::uint64_t generation = 0;  // grows when the items are thrown away
    int failures = 0;              // in a row
    Clock::time_point failing_since{};
    std::string reason;
    Lag lag = Lag::none;
    std::int64_t next_offset = 0;   // beyond what is delivered
    std::int64_t saved_offset = 0;  // of it, what is recorded
    bool missed = false;            // frames came that are to be read from Postgres
  };

  // The queues (delivery.cpp).
  void take(const FramePtr& frame, std::int64_t epoch, bool replay);
  void push(Stream& stream, Item item);
  void pop(Stream& stream);
  void clear(Stream& stream);
  void abandon(std::int32_t shard);
  void rest(Stream& stream);  // idle, ready again, or gone
  void make_ready(Stream& stream, bool first = false);
  void lag(Stream& stream, std::string reason);
  std::int64_t first_undelivered(const Stream& stream) const;
  bool room_for(std::size_t frames, std::size_t bytes) const;

  // Publishing (publishing.cpp).
  void pump();
  std::size_t allowed() const;
  asio::awaitable<void> publish_next(Stream& stream);
  void conclude(Stream& stream, std::span<const FramePtr> batch, std::uint64_t generation, Outcome outcome);
  void retry(Stream& stream, const Outcome& outcome);
  void pause(const Outcome& outcome);
  void arm();
  void on_timer();

  // What is recorded in Postgres, and read again from there (keeper.cpp).
  asio::awaitable<void> keep();
  asio::awaitable<bool> keep_once();
  asio::awaitable<void> begin_shards();
  asio::awaitable<void> save_lags();
  asio::awaitable<void> bury();
  asio::awaitable<bool> read_lagging();
  void end_lag(Stream& stream);
  asio::awaitable<bool> catch_up();
  asio::awaitable<void> settle();
  asio::awaitable<void> replay();
  void measure();
  void wake();

  asio::any_io_executor executor_;
  const Routing& routing_;
  const std::string_view name_;
  const Channel channel_;
  std::unique_ptr<Adapter> adapter_;
  DeliverySettings settings_;
  Metrics::Delivery metrics_;
  Ledger ledger_;

  Progress progress_;
  std::unordered_map<std::string, std::unique_ptr<Stream>> streams_;
  std::size_t frames_ = 0;
  std::size_t bytes_ = 0;
  std::size_t in_flight_ = 0;

  std::deque<Stream*> ready_;
  std::multimap<Clock::time_point, Stream*> waiting_;
  std::vector<Stream*> burials_;
  int pauses_ = 0;  // in a row: the service does not work
  Clock::time_point paused_until_{};
  asio::steady_timer timer_;

  std::unordered_set<std::string> unsaved_;    // streams whose lag is not recorded as it is
  std::unordered_set<std::string> lagging_;    // streams to be read from Postgres
  std::unordered_set<std::string> replaying_;  // dead letters that are queued
  std::vector<FramePtr> revived_;
  asio::steady_timer keeper_timer_;
  Clock::time_point next_settle_{};
  std::int32_t catch_up_batches_ = 8;
  log::Throttle complaints_;
  bool woken_ = false;
  bool finishing_ = false;
  bool finished_ = false;
};

}  // namespace sealcast::transport::outside
