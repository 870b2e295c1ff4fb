// Heartbeats of viewers: hashed, gathered by stream, and written to Redis a batch at a time.
//
// A stream has one batch under way; what comes meanwhile, or within the pace, is the next one. So a heartbeat costs
// Redis a share of a command, whatever the number of viewers. It is answered when Redis has it. Of a viewer only a hash
// leaves the process, and a HyperLogLog keeps not even that.
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
#include "leader/viewers/buckets.h"

namespace sealcast::leader::viewers {

struct HeartbeatSettings {
  std::chrono::milliseconds window;
  std::chrono::milliseconds timeout;  // of a batch's commands
  std::size_t max_waiting;
};

enum class Heartbeat {
  counted,
  unavailable,  // Redis is away, late, or refuses
  overloaded,
};

class Heartbeats {
 public:
  // `client` and `metrics` outlive this.
  Heartbeats(asio::any_io_executor executor, redis::Client& client, Metrics& metrics, HeartbeatSettings settings);

  // `viewer` is whatever tells viewers apart. Never throws; both belong to the caller until this has ended.
  asio::awaitable<Heartbeat> beat(std::string_view stream_id, std::string_view viewer);

 private:
  using Handler = asio::any_completion_handler<void(Heartbeat)>;
  using Slices = std::array<std::vector<std::string>, buckets::kSlices>;  // of hashes
  struct Stream {
    Slices viewers;
    std::vector<Handler> waiting;
    bool writing = false;
  };

  void enqueue(std::string_view stream_id, std::string_view viewer, Handler handler);
  asio::awaitable<void> write(std::string stream_id);
  asio::awaitable<bool> add_all(const std::string& stream_id, const Slices& viewers);
  asio::awaitable<bool> add(std::string_view command, std::string key, const std::vector<std::string>& members);

  asio::any_io_executor executor_;
  redis::Client& client_;
  Metrics& metrics_;
  HeartbeatSettings settings_;
  std::string lifetime_;
  redis::Script script_;
  std::unordered_map<std::string, Stream> streams_;  // that have something to write
  std::size_t waiting_ = 0;
  log::Throttle complaints_;
};

}  // namespace sealcast::leader::viewers
