// Publishes the queued frames of one transport through its adapter, and retries.
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

  // The arguments outlive this.
  Publisher(asio::any_io_executor executor, std::string_view transport, Adapter& adapter, StreamQueues& queues,
            PersistenceWork& work, const config::Settings::Delivery& settings, const Metrics::Delivery& metrics);

  // Starts publishes of ready streams, at most delivery.max_in_flight at once and one per stream. Must be called after
  // frames were queued.
  void publish_ready();
  // Cancels the next retry.
  void stop() { timer_.cancel(); }

  // Since the last success of any stream, a publish failed because of the whole service.
  bool paused() const { return retries_.paused(); }
  bool may_publish() const { return retries_.may_publish(Clock::now()); }
  // No publish is in progress, and none can start: no stream is ready, or the transport is paused.
  bool idle() const { return in_flight_ == 0 && (!queues_.has_ready() || paused()); }

 private:
  std::size_t max_in_flight() const;
  asio::awaitable<void> publish_next(StreamQueue& queue);
  void apply(Outcome outcome, StreamQueue& queue, std::span<const FramePtr> batch, std::uint64_t generation);
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
