// Publishes the queued frames of one transport through its adapter, and retries failed publishes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <span>
#include <string_view>

#include "base/asio.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"
#include "transport/outside/retry_schedule.h"
#include "transport/outside/stream_queues.h"

namespace sealcast::transport::outside {

class Publisher {
 public:
  using Clock = std::chrono::steady_clock;

  // The arguments must stay valid as long as this object.
  Publisher(asio::any_io_executor executor, std::string_view transport, Adapter& adapter, StreamQueues& queues,
            PersistenceWork& work, const config::Settings::Delivery& settings, const Metrics::Delivery& metrics);

  // Starts publishes of ready streams: at most delivery.max_in_flight at a time, and one per stream. The caller must
  // call it after each change that makes a stream ready, for example after it queued frames.
  void publish_ready();
  // Cancels the timer of retries and of the transport's pause.
  void stop() { timer_.cancel(); }

  // Returns true after a publish failed with retry_transport, until the service accepts a frame of any stream. The time
  // after the pause, with one publish in progress at a time, is included.
  bool paused() const { return retries_.paused(); }
  // Returns false during the pause of the transport.
  bool may_publish() const { return retries_.may_publish(Clock::now()); }
  // Returns true when no publish is in progress, and no stream is ready or paused() is true. Streams that wait for
  // their retry time do not count. A publish can still start later, after a pause or at a retry time.
  bool idle() const { return in_flight_ == 0 && (!queues_.has_ready() || paused()); }

 private:
  std::size_t max_in_flight() const;
  asio::awaitable<void> publish_next(StreamQueue& queue);
  struct Origin {  // of the frames of a publish: the state of their queue, and the epoch of the lease of their shard
    std::uint64_t generation;
    std::int64_t epoch;
  };
  void apply(Outcome outcome, StreamQueue& queue, std::span<const FramePtr> batch, Origin origin);
  void retry(StreamQueue& queue, const Outcome& outcome);
  void give_up_first(StreamQueue& queue);
  void pause(const Outcome& outcome);
  void start_timer();

  asio::any_io_executor executor_;
  const std::string_view transport_;
  Adapter& adapter_;
  StreamQueues& queues_;
  PersistenceWork& work_;
  const config::Settings::Delivery& settings_;
  Metrics::Delivery metrics_;
  RetrySchedule retries_;
  std::size_t in_flight_ = 0;
  asio::steady_timer timer_;
  log::Throttle log_throttle_;
};

}  // namespace sealcast::transport::outside
