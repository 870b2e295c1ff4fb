// Relays committed messages from Postgres to the transports: in order, without losses and without repeats.
//
// Streams are spread over shards. One sidecar at a time leads a shard, under a lease that it renews every second. The
// leader drains the shard: sealcast.drain gives the next offsets and writes numbered batches. All other sidecars tail
// the shard: sealcast.tail reads the batches that a leader wrote. So every sidecar hands every frame to its transports.
//
// Each connection begins with LISTEN, so that no commit is missed. Then the relay renews its leases, tails, and drains
// until nothing is left. Then it waits for the first of: a NOTIFY (which carries no data), wake() (this sidecar's own
// admission has committed), the next renewal, the poll interval (for commits without a notification). A lost connection
// is replaced with backoff.
//
// relay_shards.h has the invariants that keep frames in order across losses and new leaders.
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
    Metrics& metrics;                               // outlives the relay
    std::vector<transport::Transport*> transports;  // outlive the relay
    Observer observer{};                            // gets all frames before the transports
  };

  // `settings` outlives the relay. `timeout` is for one statement.
  Relay(asio::any_io_executor executor, const config::Settings::Relay& settings, std::chrono::milliseconds timeout,
        Parts parts);
  // finish() must have been called, and the event loop must have run out of work.
  ~Relay();

  void start();
  void wake();  // a message was committed
  bool listening() const;
  // The shards that this sidecar led at the last renewal or batch. A sidecar that was frozen may have lost them since.
  std::span<const transport::Lead> leads() const;

  // Relays all messages that are committed by now, releases the leases, and ends: at `deadline` at the latest.
  asio::awaitable<void> finish(Clock::time_point deadline);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
