// How many viewers sent heartbeats of late: the union of the live buckets of Redis.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/log.h"
#include "client/redis/client.h"
#include "leader/viewers/source.h"

namespace sealcast::leader::viewers {

class HlsViewers final : public ViewerSource {
 public:
  // `client` outlives this.
  HlsViewers(asio::any_io_executor executor, redis::Client& client, std::chrono::milliseconds window,
             std::chrono::milliseconds timeout);

  std::string_view name() const override { return "hls"; }
  // After Redis was away, it takes a window until all who watch have sent a heartbeat again: until then, nullopt.
  asio::awaitable<std::optional<ViewerCounts>> count(std::span<const std::int32_t> shards) override;

 private:
  struct Work;
  asio::awaitable<bool> find_watched(std::span<const std::int32_t> shards, std::vector<std::string>& streams);
  asio::awaitable<void> count_next(Work& work);
  asio::awaitable<redis::Result> ask(std::string_view command, std::vector<std::string> keys);

  asio::any_io_executor executor_;
  redis::Client& client_;
  std::chrono::milliseconds window_;
  std::chrono::milliseconds timeout_;
  redis::Clock::time_point whole_at_{};  // when all heartbeats of a window have reached Redis
  log::Throttle complaints_;
};

}  // namespace sealcast::leader::viewers
