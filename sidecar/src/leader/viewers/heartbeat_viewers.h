// Counts the viewers that have sent a heartbeat within the viewer window. Heartbeats has written them to Redis.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>

#include "base/asio.h"
#include "client/redis/client.h"
#include "leader/viewers/viewer_source.h"
#include "leader/viewers/viewer_store.h"

namespace sealcast::leader::viewers {

class HeartbeatViewers final : public ViewerSource {
 public:
  // `client` must stay valid as long as this object. `timeout` limits each command.
  HeartbeatViewers(asio::any_io_executor executor, redis::Client& client, std::chrono::milliseconds window,
                   std::chrono::milliseconds timeout);

  // After Redis was unavailable, or a connection to it was lost, counts are too low until every viewer has sent a
  // heartbeat again, which takes one viewer window: Redis may have restarted without its data. Returns nullopt until
  // that time has passed.
  asio::awaitable<std::optional<ViewerCounts>> count(std::span<const std::int32_t> shards,
                                                     const FollowedStreams& followed) override;

 private:
  struct Work;
  asio::awaitable<void> count_streams(Work& work);

  asio::any_io_executor executor_;
  ViewerStore store_;
  redis::Client& client_;
  redis::Clock::time_point complete_at_{};  // counts are complete from then on; max() while Redis is unavailable
};

}  // namespace sealcast::leader::viewers
