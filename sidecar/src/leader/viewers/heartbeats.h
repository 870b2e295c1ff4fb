// Writes the heartbeats of viewers to Redis in batches, one batch in flight per stream.
//
// Heartbeats that arrive while a batch is in flight, or in the pause after it, form the next batch. So the number of
// Redis commands does not grow with each heartbeat: many heartbeats share one command. A heartbeat is answered after
// Redis has stored it. This process sends only a hash of the viewer to Redis. Redis adds the hash to a HyperLogLog,
// which does not keep it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string_view>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/redis/client.h"
#include "config/settings.h"

namespace sealcast::leader::viewers {

enum class HeartbeatOutcome {
  counted,
  unavailable,  // Redis is not connected, did not answer in time, or returned an error
  overloaded,   // audience.max_waiting heartbeats are already waiting for Redis
};

class Heartbeats {
 public:
  // `client` and `metrics` must stay valid as long as this object. A batch writes several keys; `timeout` limits the
  // write of each key.
  Heartbeats(asio::any_io_executor executor, redis::Client& client, Metrics& metrics,
             const config::Settings::Audience& settings, std::chrono::milliseconds timeout);
  ~Heartbeats();

  // Adds a viewer to the current third of the viewer window. `viewer` is any text that identifies the viewer. Both
  // texts must stay valid until the call has ended. Never throws.
  asio::awaitable<HeartbeatOutcome> add(std::string_view stream_id, std::string_view viewer);

 private:
  class Writer;
  std::unique_ptr<Writer> writer_;
};

}  // namespace sealcast::leader::viewers
