// Asks Redis which streams got heartbeats (SSCAN), and how many viewers each of these streams has (PFCOUNT).
#include "leader/viewers/heartbeat_viewers.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "base/event.h"

namespace sealcast::leader::viewers {
namespace {

// Maximum number of PFCOUNT commands in flight. Each of them unites several HyperLogLogs and occupies Redis for about
// 100 µs. The limit lets Redis run the checks of the gate in between.
constexpr std::size_t kStreamsAtOnce = 16;

}  // namespace

struct HeartbeatViewers::Work {
  std::vector<std::string> streams;
  std::vector<std::int64_t> begins;
  std::size_t next = 0;
  bool failed = false;
  ViewerCounts counts;
};

HeartbeatViewers::HeartbeatViewers(asio::any_io_executor executor, redis::Client& client,
                                   std::chrono::milliseconds window, std::chrono::milliseconds timeout)
    : executor_(std::move(executor)), store_(client, ViewerWindow(window), timeout), client_(client) {}

asio::awaitable<std::optional<ViewerCounts>> HeartbeatViewers::count(std::span<const std::int32_t> shards,
                                                                     const FollowedStreams&) {
  Work work;
  work.begins = store_.window().counted();
  auto watched = co_await store_.streams(shards, &ViewerWindow::watched_key);
  work.failed = !watched;
  if (watched) work.streams.assign(watched->begin(), watched->end());
  std::size_t running = std::min(kStreamsAtOnce, work.streams.size());
  Event finished(executor_);
  if (running == 0) finished.set();
  for (std::size_t i = running; i > 0; --i) {
    asio::co_spawn(executor_, count_streams(work), [&](std::exception_ptr) {
      if (--running == 0) finished.set();
    });
  }
  co_await finished.wait_until();
  if (work.failed) {
    complete_at_ = redis::Clock::time_point::max();
    co_return std::nullopt;
  }
  const auto now = redis::Clock::now();
  const auto window = store_.window().length();
  if (complete_at_ == redis::Clock::time_point::max()) complete_at_ = now + window;
  if (now < std::max<redis::Clock::time_point>(complete_at_, client_.last_loss() + window)) co_return std::nullopt;
  co_return std::move(work.counts);
}

asio::awaitable<void> HeartbeatViewers::count_streams(Work& work) {
  while (work.next < work.streams.size() && !work.failed) {
    const std::string& stream = work.streams[work.next++];
    std::int64_t viewers = 0;
    for (int slice = 0; slice < ViewerWindow::kSlices && !work.failed; ++slice) {
      std::vector<std::string> keys;
      for (const std::int64_t begin : work.begins) keys.push_back(ViewerWindow::viewers_key(stream, begin, slice));
      const redis::Result result = co_await store_.count(std::move(keys));
      if (result.status == redis::Status::ok && result.reply->type == REDIS_REPLY_INTEGER) {
        viewers += bounded_viewers(result.reply->integer);
      } else {
        work.failed = true;
      }
    }
    work.counts[stream] = bounded_viewers(viewers);
  }
}

}  // namespace sealcast::leader::viewers
