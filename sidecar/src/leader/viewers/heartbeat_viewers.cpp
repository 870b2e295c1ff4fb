// What is asked of Redis: SUNION tells which streams are watched, PFCOUNT by how many.
#include "leader/viewers/hls.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "core/uuid.h"
#include "leader/viewers/buckets.h"

namespace sealcast::leader::viewers {
namespace {

// A union of HyperLogLogs keeps Redis busy for some 100 µs: the gate's checks come in between.
constexpr std::size_t kAtOnce = 16;

std::string_view reason(const redis::Result& result) {
  switch (result.status) {
    case redis::Status::ok:
      return "an answer of another kind";
    case redis::Status::error:
      return result.text().substr(0, 200);
    default:
      return "no answer";
  }
}

}  // namespace

struct HlsViewers::Work {
  std::vector<std::string> streams;
  std::vector<std::int64_t> begins;
  std::size_t next = 0;
  bool failed = false;
  ViewerCounts counts;
};

HlsViewers::HlsViewers(asio::any_io_executor executor, redis::Client& client, std::chrono::milliseconds window,
                       std::chrono::milliseconds timeout)
    : executor_(std::move(executor)), client_(client), window_(window), timeout_(timeout) {}

asio::awaitable<std::optional<ViewerCounts>> HlsViewers::count(std::span<const std::int32_t> shards) {
  Work work;
  work.begins = buckets::live(window_);
  work.failed = !co_await find_watched(shards, work.streams);
  std::size_t running = std::min(kAtOnce, work.streams.size());
  asio::steady_timer ended(executor_, asio::steady_timer::time_point::max());
  for (std::size_t i = running; i > 0; --i) {
    asio::co_spawn(executor_, count_next(work), [&](std::exception_ptr) {
      if (--running == 0) ended.cancel();
    });
  }
  if (running > 0) {
    boost::system::error_code ignored;
    co_await ended.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (work.failed) {
    whole_at_ = redis::Clock::time_point::max();
    co_return std::nullopt;
  }
  const auto now = redis::Clock::now();
  if (whole_at_ == redis::Clock::time_point::max()) whole_at_ = now + window_;
  if (now < whole_at_) co_return std::nullopt;
  co_return std::move(work.counts);
}

asio::awaitable<bool> HlsViewers::find_watched(std::span<const std::int32_t> shards,
                                               std::vector<std::string>& streams) {
  for (const std::int32_t shard : shards) {
    std::vector<std::string> keys;
    for (const std::int64_t begin : buckets::live(window_)) keys.push_back(buckets::watched_key(shard, begin));
    const redis::Result result = co_await ask("SUNION", std::move(keys));
    if (result.status != redis::Status::ok || result.reply->type != REDIS_REPLY_ARRAY) co_return false;
    for (std::size_t i = 0; i < result.reply->elements; ++i) {
      const redisReply* stream = result.reply->element[i];
      std::string id;
      if (stream->str && core::normalize_uuid({stream->str, stream->len}, id)) streams.push_back(std::move(id));
    }
  }
  co_return true;
}

asio::awaitable<void> HlsViewers::count_next(Work& work) {
  while (work.next < work.streams.size() && !work.failed) {
    const std::string& stream = work.streams[work.next++];
    std::int64_t viewers = 0;
    for (int slice = 0; slice < buckets::kSlices && !work.failed; ++slice) {
      std::vector<std::string> keys;
      for (const std::int64_t begin : work.begins) keys.push_back(buckets::viewers_key(stream, begin, slice));
      const redis::Result result = co_await ask("PFCOUNT", std::move(keys));
      if (result.status == redis::Status::ok && result.reply->type == REDIS_REPLY_INTEGER) {
        viewers += bounded_viewers(result.reply->integer);
      } else {
        work.failed = true;
      }
    }
    work.counts[stream] = bounded_viewers(viewers);
  }
}

asio::awaitable<redis::Result> HlsViewers::ask(std::string_view command, std::vector<std::string> keys) {
  std::vector<std::string_view> words{command};
  words.insert(words.end(), keys.begin(), keys.end());
  redis::Result result = co_await client_.call(redis::Command(words, keys.front()), redis::Clock::now() + timeout_);
  if (result.status != redis::Status::ok && complaints_.allows()) {
    log::write(log::Level::warn, log::tag::kAudience, "Redis does not tell how many watch",
               {{"reason", reason(result)}});
  }
  co_return result;
}

}  // namespace sealcast::leader::viewers
