// Adds each followed stream once per third of the viewer window to the set of its shard.
#include "leader/viewers/followers.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "client/postgres/params.h"
#include "core/shard.h"

namespace sealcast::leader::viewers {
namespace {

constexpr std::string_view kSystemSender = "00000000-0000-0000-0000-000000000000";
constexpr std::chrono::milliseconds kLongestPause{1000};
constexpr int kRecordsPerWindow = 6;

}  // namespace

Followers::Followers(asio::any_io_executor executor, redis::Client& client, std::chrono::milliseconds window,
                     std::chrono::milliseconds timeout, ReadStreams read_streams)
    : executor_(std::move(executor)),
      store_(client, ViewerWindow(window), timeout),
      read_streams_(std::move(read_streams)),
      stopped_(executor_) {}

void Followers::start() { asio::co_spawn(executor_, run(), asio::detached); }

void Followers::observe(std::span<const transport::FramePtr> frames) {
  for (const transport::FramePtr& frame : frames) {
    if (added_.contains(frame->stream_id)) continue;
    const std::string_view sender = transport::envelope_sender(frame->text);
    if (!sender.empty() && sender != kSystemSender) added_.insert(frame->stream_id);
  }
}

asio::awaitable<void> Followers::run() {
  const auto pause = std::min(kLongestPause, store_.window().length() / kRecordsPerWindow);
  while (!stopped_.is_set()) {
    co_await record();
    co_await stopped_.wait_for(pause);
  }
}

asio::awaitable<void> Followers::record() {
  const std::int64_t begin = store_.window().current();
  if (begin != recorded_in_) recorded_.clear();
  recorded_in_ = begin;
  std::unordered_set<std::string> streams = std::exchange(added_, {});
  for (std::string& stream : read_streams_()) streams.insert(std::move(stream));
  std::array<std::vector<std::string>, core::kShards> new_streams;
  for (const std::string& stream : streams) {
    if (recorded_.contains(stream)) continue;
    const auto shard = core::shard_of(postgres::uuid_bytes(stream).back());
    new_streams[static_cast<std::size_t>(shard)].push_back(stream);
  }
  for (std::size_t shard = 0; shard < new_streams.size(); ++shard) {
    const std::vector<std::string>& members = new_streams[shard];
    if (members.empty()) continue;
    std::string key = ViewerWindow::followed_key(static_cast<std::int32_t>(shard), begin);
    if (co_await store_.add("SADD", std::move(key), members)) recorded_.insert(members.begin(), members.end());
  }
}

asio::awaitable<std::optional<std::unordered_set<std::string>>> Followers::find(std::span<const std::int32_t> shards) {
  return store_.streams(shards, &ViewerWindow::followed_key);
}

}  // namespace sealcast::leader::viewers
