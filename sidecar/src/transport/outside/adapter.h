// What an adapter is: the part that speaks one service's protocol. It publishes frames of one stream and says what
// became of them; queueing, order, retries, dead letters and cursors are the delivery's (delivery.h), the same for all.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/metrics.h"
#include "transport/frame.h"
#include "transport/outside/outcome.h"

namespace sealcast::transport::outside {

class Adapter {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~Adapter() = default;
  virtual std::size_t max_batch() const = 0;  // frames that one publish() may carry

  // Where it counts what is its own beside what every delivery counts; outlives it.
  virtual void count_in(Metrics&) {}
  virtual void start() = 0;
  virtual void stop() = 0;  // every publish() under way returns soon after

  // Publishes frames of one stream, in order. Of one stream one call is under way at a time, of many streams many. Ends
  // by `deadline` whatever the service does, and never throws. The frames outlive the call.
  virtual asio::awaitable<Outcome> publish(std::span<const FramePtr> frames, Clock::time_point deadline) = 0;
};

struct RegisteredAdapter {
  std::string_view name;  // as in settings, deliveries and metrics
  Channel channel;
  std::unique_ptr<Adapter> adapter;
};

// "sealcast/{stream_id}" with the stream's id in it; or another template with another place.
std::string expand_template(std::string_view pattern, std::string_view value, std::string_view place = "{stream_id}");

}  // namespace sealcast::transport::outside
