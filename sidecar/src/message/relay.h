// The relay: carries what is committed from Postgres to the transports, in order, missing and repeating nothing.
//
// Model. Streams are spread over shards. Each shard is led by one sidecar at a time, under a lease that it renews every
// second; the leader drains the shard (sealcast.drain gives what comes next its offsets, as numbered batches), all
// others tail it (sealcast.tail reads the batches that a leader wrote), so that every sidecar hands every frame to its
// transports.
//
// Life of a connection: LISTEN first, so that no commit goes unheard; then claim shards, tail, drain until nothing is
// left, and wait: for a NOTIFY, for wake() (our own admission committed), for the next claim, or for the poll interval,
// which finds what no notification told of. NOTIFY carries nothing. A lost connection is made again with backoff.
//
// Invariants.
// - `position` of a shard is the last batch whose frames went to the transports. It lives in memory and only grows.
// - A shard is drained only while `synced`: led by this connection, and tailed up to the newest batch since it took the
//   lead. From then on all batches of this epoch are ours, and their rows reach us as answers to drain().
// - An epoch is one connection's. When the answer to a drain is lost, so is the lead: the batch, if there is one, is
//   read by tail() before the next drain.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"
#include "transport/transport.h"

namespace sealcast::message {

struct RelaySettings {
  std::string dsn;
  std::string holder;
  std::chrono::milliseconds timeout;  // of a statement
  std::chrono::milliseconds lease;
  std::chrono::milliseconds poll;
  std::int32_t max_rows;
};

class Relay {
 public:
  using Clock = std::chrono::steady_clock;

  using Observer = std::function<void(std::span<const transport::FramePtr>)>;

  // `metrics` and the transports outlive this. `observer` is shown all messages, as the transports get them.
  Relay(asio::any_io_executor executor, Metrics& metrics, RelaySettings settings,
        std::vector<transport::Transport*> transports, Observer observer = {});
  ~Relay();

  void start();
  void wake();  // something was committed
  bool listening() const { return listening_; }
  std::span<const transport::Lead> leads() const {
    return leads_;
  }  // as of the last claim; a frozen sidecar believes it too long

  // Relays what is committed by now, gives the shards to others, and ends. Gives up at `deadline`. Must have been
  // called, and the event loop have run dry, before this goes.
  asio::awaitable<void> finish(Clock::time_point deadline);

 private:
  struct Shard {
    std::int32_t id;
    std::int64_t epoch;
    bool mine;
    bool synced;
    std::int64_t position;
    std::int64_t newest;   // as of the last claim
    std::int64_t settled;  // the position that was last recorded
  };

  asio::awaitable<void> run();
  asio::awaitable<void> serve();
  asio::awaitable<void> claim();
  asio::awaitable<bool> tail();   // true when there may be more
  asio::awaitable<bool> drain();  // likewise
  asio::awaitable<void> settle();
  asio::awaitable<void> wait_until(Clock::time_point deadline);
  void take_claim(const postgres::Result& rows);
  void publish(const postgres::Result& rows);
  void hand_out();
  void forget_frames();
  void forget_sync();
  Shard* find(std::int32_t id);

  asio::any_io_executor executor_;
  Metrics& metrics_;
  RelaySettings settings_;
  std::vector<transport::Transport*> transports_;
  Observer observer_;
  std::shared_ptr<postgres::Connection> connection_;
  postgres::Params params_;
  asio::steady_timer timer_;
  std::vector<Shard> shards_;
  // Of one round; kept for their capacity.
  std::vector<transport::FramePtr> frames_;
  std::vector<transport::FramePtr> public_frames_;
  std::vector<transport::Lead> leads_;
  Clock::time_point last_round_{};
  Clock::time_point next_claim_{};
  Clock::time_point next_settle_{};
  bool woken_ = false;
  bool listening_ = false;
  bool finishing_ = false;
  bool finished_ = false;
};

}  // namespace sealcast::message
