// Delivery to one outside service. It delivers every message of the shards that this sidecar leads, at least once, in
// order per stream.
//
// Normal case. The relay gives new frames to publish(). They are queued in memory, in one queue per stream, with at
// most one publish in progress per stream. A relay batch is delivered when all its frames are delivered. Once per
// second, the cursor of each shard is recorded. Its batch and all earlier batches are delivered, except frames of
// lagging streams. The next leader of the shard continues from the cursor.
//
// Memory. The queues hold about `delivery.max_frames` frames and `delivery.max_bytes` bytes at most, even when the
// service accepts nothing. When the relay publishes frames that do not fit, all shards with new batches are behind.
// They catch up: their batches are read from Postgres. Pages from Postgres are queued whole, so they can exceed the
// limits.
//
// Failures. The outcome of a publish shows which part failed:
// - The service: the whole transport pauses, and then has one publish in progress at a time until a publish succeeds.
// - One stream, for example because the service refuses its channel: only that stream retries. After 2 s the stream
//   lags: it gets its own cursor, so that the cursor of its shard can advance without it. Its frames are read from
//   Postgres until it has caught up.
// - One message: the message becomes a dead letter, and its stream continues.
//
// Transports do not affect each other: each transport has its own queues, cursors and Postgres connection.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <span>
#include <string_view>

#include "base/asio.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"
#include "transport/outside/delivery_store.h"
#include "transport/outside/persistence.h"
#include "transport/outside/publisher.h"
#include "transport/outside/routing.h"
#include "transport/outside/stream_queues.h"
#include "transport/transport.h"

namespace sealcast::transport::outside {

class Delivery final : public Transport {
 public:
  using Clock = std::chrono::steady_clock;

  // `metrics`, `viewers`, `routing` and `settings` must stay valid as long as this object.
  Delivery(asio::any_io_executor executor, Metrics& metrics, const StreamViewers& viewers, const Routing& routing,
           RegisteredAdapter registered, const config::Settings& settings);
  ~Delivery() override;

  void start();
  // Delivers queued frames while the service accepts them, records the progress, and stops. At `deadline` it stops even
  // if frames are left. The next leader delivers them.
  asio::awaitable<void> finish(Clock::time_point deadline);

  std::string_view name() const override { return name_; }
  Channel channel() const override { return channel_; }
  void publish(std::span<const FramePtr> frames, std::span<const Lead> leads) override;
  bool delivers_at_once() const override { return false; }

 private:
  const std::string_view name_;
  const Channel channel_;
  std::unique_ptr<Adapter> adapter_;
  DeliveryStore store_;
  PersistenceWork work_;
  StreamQueues queues_;
  Publisher publisher_;
  Persistence persistence_;
};

}  // namespace sealcast::transport::outside
