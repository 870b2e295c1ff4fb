// Reads and writes the keys of the viewer window in Redis.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/asio.h"
#include "base/log.h"
#include "client/redis/client.h"
#include "client/redis/script.h"
#include "leader/viewers/viewer_window.h"

namespace sealcast::leader::viewers {

class ViewerStore {
 public:
  // `client` must stay valid as long as this object. `timeout` limits each command.
  ViewerStore(redis::Client& client, ViewerWindow window, std::chrono::milliseconds timeout);

  const ViewerWindow& window() const { return window_; }

  // Adds the members by `command`, PFADD or SADD, and gives the key its expiry. Returns false, after logging, when
  // Redis did not store all of them.
  asio::awaitable<bool> add(std::string_view command, std::string key, const std::vector<std::string>& members);

  // Returns the streams in the sets that `key` names, of all counted thirds of these shards. Returns nullopt, after
  // logging, when Redis did not return them.
  using SetKey = std::string (*)(std::int32_t shard, std::int64_t begin);
  asio::awaitable<std::optional<std::unordered_set<std::string>>> streams(std::span<const std::int32_t> shards,
                                                                          SetKey key);

  // Returns the answer of Redis to PFCOUNT of these keys, which must be in one slot. Logs a failure.
  asio::awaitable<redis::Result> count(std::vector<std::string> keys);

 private:
  asio::awaitable<redis::Result> read(redis::Command command);
  asio::awaitable<bool> add_members(std::string key, std::unordered_set<std::string>& found);

  redis::Client& client_;
  const ViewerWindow window_;
  const std::chrono::milliseconds timeout_;
  const std::string key_lifetime_;  // in milliseconds, as text
  redis::Script script_;
  log::Throttle write_log_throttle_;
  log::Throttle read_log_throttle_;
};

}  // namespace sealcast::leader::viewers
