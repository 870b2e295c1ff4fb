// A loop that records the progress of one transport in Postgres, and reads frames that are not in memory: frames of
// lagging streams, and batches that did not fit.
//
// Once per second the loop records cursors and lags, and reads dead letters to replay. PersistenceWork::changed wakes
// the loop earlier for urgent work. While Postgres is unavailable, the loop retries. Queued frames are still published.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/event.h"
#include "base/log.h"
#include "base/metrics.h"
#include "transport/outside/delivery_store.h"
#include "transport/outside/publisher.h"
#include "transport/outside/stream_queues.h"

namespace sealcast::transport::outside {

class Persistence {
 public:
  using Clock = std::chrono::steady_clock;

  // The arguments must stay valid as long as this object.
  Persistence(asio::any_io_executor executor, std::string_view transport, Adapter& adapter, DeliveryStore& store,
              StreamQueues& queues, PersistenceWork& work, Publisher& publisher, const Metrics::Delivery& metrics);

  void start();
  // Returns when Publisher::idle() is true and the loop has then recorded the progress, or at `deadline`. The loop
  // tries this last record only once. When Postgres is unavailable, the progress since the previous record is not
  // recorded, and the next leader publishes these frames again.
  asio::awaitable<void> finish(Clock::time_point deadline);

 private:
  asio::awaitable<void> run();
  asio::awaitable<bool> run_once();
  asio::awaitable<void> start_shards();
  void start_shard(const Lead& lead, std::int64_t cursor, std::span<const DeliveryStore::StreamLag> lags);
  asio::awaitable<void> save_lags();
  void lag_was_saved(const DeliveryStore::StreamLag& saved);
  asio::awaitable<void> save_dead_letters();
  asio::awaitable<bool> read_lagging();
  asio::awaitable<bool> read_lagging(const std::string& stream_id);
  asio::awaitable<bool> catch_up();
  asio::awaitable<void> settle();
  asio::awaitable<void> replay();
  void update_metrics();

  asio::any_io_executor executor_;
  const std::string_view transport_;
  Adapter& adapter_;
  DeliveryStore& store_;
  StreamQueues& queues_;
  PersistenceWork& work_;
  Publisher& publisher_;
  Metrics::Delivery metrics_;
  Clock::time_point next_settle_{};
  std::int32_t catch_up_batches_ = 8;  // batches that one statement reads; adapts to the number of frames per batch
  Event finished_;
  log::Throttle log_throttle_;
};

}  // namespace sealcast::transport::outside
