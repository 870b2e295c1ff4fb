// Writes the heartbeats of viewers to Redis in batches, one batch in flight per stream.
//
// Heartbeats that arrive while a batch is in flight, or within the pause after it, form the next batch. So a heartbeat
// costs Redis only a share of a command, for any number of viewers. A heartbeat is answered after Redis has stored it.
// Only a hash of the viewer leaves the process, and a HyperLogLog does not even keep the hash.
#pragma once

#include <array>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/asio.h"
#include "base/log.h"
#include "base/metrics.h"
#include "client/redis/client.h"
#include "client/redis/script.h"
#include "config/settings.h"
#include "leader/viewers/viewer_window.h"

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

  // Counts a viewer. `viewer` is any text that identifies one viewer. Both views must be valid until this has ended.
  // Never throws.
  asio::awaitable<HeartbeatOutcome> add(std::string_view stream_id, std::string_view viewer);

 private:
  using Handler = asio::any_completion_handler<void(HeartbeatOutcome)>;
  using Slices = std::array<std::vector<std::string>, ViewerWindow::kSlices>;  // hashes of viewers
  struct Stream {
    Slices viewers;
    std::vector<Handler> waiting;
    bool writing = false;
  };

  void enqueue(std::string_view stream_id, std::string_view viewer, Handler handler);
  asio::awaitable<void> write_batches(std::string stream_id);
  asio::awaitable<bool> write_batch(const std::string& stream_id, const Slices& viewers);
  asio::awaitable<bool> write(std::string_view command, std::string key, const std::vector<std::string>& members);

  asio::any_io_executor executor_;
  redis::Client& client_;
  Metrics& metrics_;
  const ViewerWindow window_;
  const std::size_t max_waiting_;
  const std::chrono::milliseconds timeout_;
  const std::string key_lifetime_;  // milliseconds
  redis::Script script_;
  std::unordered_map<std::string, Stream> streams_;  // that have something to write
  std::size_t waiting_ = 0;
  log::Throttle log_throttle_;
};

}  // namespace sealcast::leader::viewers
