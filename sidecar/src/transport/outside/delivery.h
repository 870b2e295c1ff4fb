// Delivery to one outside service: every message of the shards that this sidecar leads, at least once, in order per
// stream.
//
// Normal case. The relay gives new frames to publish(). They are queued in memory, in one queue per stream, with one
// publish in progress per stream. When all frames of a relay batch are delivered, the batch is settled: each second,
// the cursor of each shard is recorded. The next leader of the shard continues from the cursor.
//
// Memory. At most `delivery.max_frames` frames and `delivery.max_bytes` are in memory, even when the service accepts
// nothing. When new frames do not fit, their shard is behind. It catches up from Postgres, batch by batch.
//
// Failures. The outcome of a publish says which part failed:
// - The service: the whole transport pauses, and then retries with one publish at a time.
// - One stream, for example because its channel is refused: that stream retries alone. After 2 s it lags: it gets a
//   cursor of its own, no longer holds the cursor of its shard, and is read from Postgres until it has caught up.
// - One message: it becomes a dead letter, and its stream continues.
//
// Transports do not affect each other: each has queues, cursors and a Postgres connection of its own.
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

  // `metrics`, `routing` and `settings` outlive this.
  Delivery(asio::any_io_executor executor, Metrics& metrics, const Routing& routing, RegisteredAdapter registered,
           const config::Settings& settings);
  ~Delivery() override;

  void start();
  // Delivers queued frames while the service accepts them, records the progress, and stops. Gives up at `deadline`.
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
