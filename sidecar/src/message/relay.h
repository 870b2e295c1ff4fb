// Relays committed messages from Postgres to the transports: in order, without losses and without repeats.
//
// Each stream belongs to one shard. One sidecar at a time leads a shard, under a lease that it renews every second. The
// leader drains the shard: sealcast_internal.drain() gives messages their offsets and records numbered relay batches.
// All other sidecars tail the shard: sealcast_internal.tail() reads the relay batches that the leader recorded. So
// every sidecar gives every frame to its transports. The leader alone delivers to outside services. So a sidecar leads
// no shard while a live sidecar has more transports; sealcast_internal.claim_shards() decides that.
//
// A new connection first executes LISTEN, so that it misses no commit. Then the relay repeats rounds. In a round it
// renews its leases if that is due, tails, and drains, until nothing is left. Then it waits until one of these events:
// - a NOTIFY arrives; it carries no data
// - this sidecar's own admission has committed a message and calls wake()
// - the next renewal is due
// - the poll interval is over; this finds commits whose notification was lost
// After a lost connection the relay connects again, with a pause that grows.
//
// relay_shards.h states the invariants that keep frames in order when a connection is lost or the leader changes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "transport/transport.h"

namespace sealcast::message {

class Relay {
 public:
  using Clock = std::chrono::steady_clock;
  using Observer = std::function<void(std::span<const transport::FramePtr>)>;

  struct Parts {
    Metrics& metrics;                               // must stay valid as long as the relay
    std::vector<transport::Transport*> transports;  // must stay valid as long as the relay
    Observer observer{};                            // gets all frames, before the transports get them; may be empty
    // Gets each frame of a retained type, before the observer; may be empty.
    std::function<void(const transport::Frame&)> on_retained{};
    // Called when the log has another epoch, so that all offsets are void; may be empty.
    std::function<void()> on_log{};
  };

  // `settings` must stay valid as long as the relay. `timeout` limits each statement.
  Relay(asio::any_io_executor executor, const config::Settings::Relay& settings, std::chrono::milliseconds timeout,
        Parts parts);
  // Before it is destroyed, finish() must have been called, and the event loop must have run out of work: a coroutine
  // of the relay uses this object until then.
  ~Relay();

  void start();
  void wake();  // must be called after a message was committed; the relay then drains without waiting for the poll
  bool listening() const;  // the connection has executed LISTEN and claimed the leases; /readyz reports it
  // Returns the shards that this sidecar led at the last renewal or relay batch. A sidecar that was frozen since then
  // may have lost their leases.
  std::span<const transport::Lead> leads() const;

  // Relays all messages that are committed by now, releases the leases, and ends the relay. At `deadline`, or if the
  // connection is lost, the relay ends without finishing these tasks.
  asio::awaitable<void> finish(Clock::time_point deadline);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
