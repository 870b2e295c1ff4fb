// Writes the heartbeats of viewers to Redis in batches, one batch in flight per stream.
//
// Heartbeats that arrive while a batch is in flight, or within the pause after it, form the next batch. So a heartbeat
// costs Redis only a share of a command, for any number of viewers. A heartbeat is answered after Redis has stored it.
// Only a hash of the viewer leaves the process, and a HyperLogLog does not even keep the hash.
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
  unavailable,  // Redis is unavailable, slow, or refuses
  overloaded,   // too many heartbeats wait for Redis
};

class Heartbeats {
 public:
  // `client` and `metrics` outlive this. `timeout` is the time limit of each command of a batch.
  Heartbeats(asio::any_io_executor executor, redis::Client& client, Metrics& metrics,
             const config::Settings::Audience& settings, std::chrono::milliseconds timeout);
  ~Heartbeats();

  // Counts a viewer. `viewer` is any text that identifies one viewer. Both views must be valid until this has ended.
  // Never throws.
  asio::awaitable<HeartbeatOutcome> add(std::string_view stream_id, std::string_view viewer);

 private:
  class Writer;
  std::unique_ptr<Writer> writer_;
};

}  // namespace sealcast::leader::viewers
