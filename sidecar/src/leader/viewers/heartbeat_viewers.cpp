// Asks Redis which streams got heartbeats (SUNION), and how many viewers each of these streams has (PFCOUNT).
#include "leader/viewers/heartbeat_viewers.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "base/event.h"
#include "core/uuid.h"

namespace sealcast::leader::viewers {
namespace {

// Maximum number of PFCOUNT commands in flight. Each of them unites several HyperLogLogs and occupies Redis for about
// 100 µs. The limit lets Redis run the checks of the gate in between.
constexpr std::size_t kStreamsAtOnce = 16;

std::string_view reason(const redis::Result& result) {
  switch (result.status) {
    case redis::Status::ok:
      return "an answer of another type";
    case redis::Status::error:
      return result.text().substr(0, 200);
    default:
      return "no answer";
  }
}

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
    : executor_(std::move(executor)), client_(client), window_(window), timeout_(timeout) {}

asio::awaitable<std::optional<ViewerCounts>> HeartbeatViewers::count(std::span<const std::int32_t> shards) {
  Work work;
  work.begins = window_.counted();
  work.failed = !co_await find_watched(shards, work.streams);
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
  if (complete_at_ == redis::Clock::time_point::max()) complete_at_ = now + window_.length();
  if (now < complete_at_) co_return std::nullopt;
  co_return std::move(work.counts);
}

asio::awaitable<bool> HeartbeatViewers::find_watched(std::span<const std::int32_t> shards,
                                                     std::vector<std::string>& streams) {
  for (const std::int32_t shard : shards) {
    std::vector<std::string> keys;
    for (const std::int64_t begin : window_.counted()) keys.push_back(ViewerWindow::watched_key(shard, begin));
    const redis::Result result = co_await call("SUNION", std::move(keys));
    if (result.status != redis::Status::ok || result.reply->type != REDIS_REPLY_ARRAY) co_return false;
    for (std::size_t i = 0; i < result.reply->elements; ++i) {
      const redisReply* stream = result.reply->element[i];
      std::string id;
      if (stream->str && core::normalize_uuid({stream->str, stream->len}, id)) streams.push_back(std::move(id));
    }
  }
  co_return true;
}

asio::awaitable<void> HeartbeatViewers::count_streams(Work& work) {
  while (work.next < work.streams.size() && !work.failed) {
    const std::string& stream = work.streams[work.next++];
    std::int64_t viewers = 0;
    for (int slice = 0; slice < ViewerWindow::kSlices && !work.failed; ++slice) {
      std::vector<std::string> keys;
      for (const std::int64_t begin : work.begins) keys.push_back(ViewerWindow::viewers_key(stream, begin, slice));
      const redis::Result result = co_await call("PFCOUNT", std::move(keys));
      if (result.status == redis::Status::ok && result.reply->type == REDIS_REPLY_INTEGER) {
        viewers += bounded_viewers(result.reply->integer);
      } else {
        work.failed = true;
      }
    }
    work.counts[stream] = bounded_viewers(viewers);
  }
}

asio::awaitable<redis::Result> HeartbeatViewers::call(std::string_view command, std::vector<std::string> keys) {
  std::vector<std::string_view> words{command};
  words.insert(words.end(), keys.begin(), keys.end());
  redis::Result result = co_await client_.call(redis::Command(words, keys.front()), redis::Clock::now() + timeout_);
  if (result.status != redis::Status::ok && log_throttle_.allows()) {
    log::write(log::Level::warn, log::tag::kAudience, "Redis did not return the numbers of viewers",
               {{"reason", reason(result)}});
  }
  co_return result;
}

}  // namespace sealcast::leader::viewers
