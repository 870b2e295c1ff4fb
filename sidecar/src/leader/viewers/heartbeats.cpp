// The script that adds, and the batches.
#include "leader/viewers/heartbeats.h"

#include <algorithm>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "client/postgres/params.h"
#include "core/digest.h"
#include "core/shard.h"

namespace sealcast::leader::viewers {
namespace {

// KEYS: what to add to. ARGV: PFADD or SADD, the lifetime in ms, and what to add. One script, so that no key is ever
// left without an expiry.
constexpr std::string_view kScript = R"lua(
redis.call(ARGV[1], KEYS[1], unpack(ARGV, 3))
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
)lua";

constexpr std::chrono::milliseconds kPace{50};  // from one batch of a stream to its next
constexpr std::size_t kMaxBatch = 1000;         // in one call; Lua unpacks some thousands
constexpr std::size_t kHashBytes = 16;

// The same viewer looks different in every stream.
std::string hash_of(std::string_view stream_id, std::string_view viewer) {
  std::string text(stream_id);
  text += '|';
  text += viewer;
  const core::Digest digest = core::sha256(text);
  return {reinterpret_cast<const char*>(digest.data()), kHashBytes};
}

}  // namespace

Heartbeats::Heartbeats(asio::any_io_executor executor, redis::Client& client, Metrics& metrics,
                       HeartbeatSettings settings)
    : executor_(std::move(executor)),
      client_(client),
      metrics_(metrics),
      settings_(settings),
      lifetime_(std::to_string(buckets::lifetime(settings.window).count())),
      script_(kScript) {}

asio::awaitable<Heartbeat> Heartbeats::beat(std::string_view stream_id, std::string_view viewer) {
  Heartbeat outcome = Heartbeat::overloaded;
  if (waiting_ < settings_.max_waiting) {
    outcome = co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Heartbeat)>(
        [this](auto handler, std::string_view stream, std::string_view who) {
          enqueue(stream, who, Handler(std::move(handler)));
        },
        asio::use_awaitable, stream_id, viewer);
  }
  switch (outcome) {
    case Heartbeat::counted:
      metrics_.heartbeats_counted.Increment();
      break;
    case Heartbeat::unavailable:
      metrics_.heartbeats_unavailable.Increment();
      break;
    case Heartbeat::overloaded:
      metrics_.heartbeats_overloaded.Increment();
      break;
  }
  co_return outcome;
}

void Heartbeats::enqueue(std::string_view stream_id, std::string_view viewer, Handler handler) {
  ++waiting_;
  std::string key(stream_id);
  Stream& stream = streams_[key];
  std::string hash = hash_of(stream_id, viewer);
  stream.viewers[static_cast<std::size_t>(buckets::slice_of(hash))].push_back(std::move(hash));
  stream.waiting.push_back(std::move(handler));
  if (!std::exchange(stream.writing, true)) asio::co_spawn(executor_, write(std::move(key)), asio::detached);
}

// Writes as long as something came after the last batch was taken.
asio::awaitable<void> Heartbeats::write(std::string stream_id) {
  while (true) {
    Stream& stream = streams_[stream_id];
    if (stream.waiting.empty()) {
      streams_.erase(stream_id);
      co_return;
    }
    const Slices viewers = std::exchange(stream.viewers, {});
    std::vector<Handler> waiting = std::exchange(stream.waiting, {});
    const auto next = redis::Clock::now() + kPace;
    const Heartbeat outcome = co_await add_all(stream_id, viewers) ? Heartbeat::counted : Heartbeat::unavailable;
    waiting_ -= waiting.size();
    for (Handler& handler : waiting) asio::post(executor_, asio::append(std::move(handler), outcome));
    asio::steady_timer pace(executor_, next);
    co_await pace.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<bool> Heartbeats::add_all(const std::string& stream_id, const Slices& viewers) {
  const std::int64_t bucket = buckets::current(settings_.window);
  for (std::size_t slice = 0; slice < viewers.size(); ++slice) {
    std::string key = buckets::viewers_key(stream_id, bucket, static_cast<int>(slice));
    if (!co_await add("PFADD", std::move(key), viewers[slice])) co_return false;
  }
  const std::vector<std::string> watched{stream_id};
  co_return co_await add("SADD", buckets::watched_key(core::shard_of(postgres::uuid_bytes(stream_id).back()), bucket),
                         watched);
}

asio::awaitable<bool> Heartbeats::add(std::string_view command, std::string key,
                                      const std::vector<std::string>& members) {
  const std::string_view keys[] = {key};
  const auto deadline = redis::Clock::now() + settings_.timeout;
  for (std::size_t begin = 0; begin < members.size(); begin += kMaxBatch) {
    const std::size_t end = std::min(begin + kMaxBatch, members.size());
    std::vector<std::string_view> arguments{command, lifetime_};
    arguments.insert(arguments.end(), members.begin() + static_cast<std::ptrdiff_t>(begin),
                     members.begin() + static_cast<std::ptrdiff_t>(end));
    const redis::Result result = co_await script_.call(client_, keys, arguments, deadline);
    if (result.status == redis::Status::ok) continue;
    if (complaints_.allows()) {
      log::write(log::Level::warn, log::tag::kAudience, "heartbeats of viewers are refused: Redis does not take them",
                 {{"reason", result.status == redis::Status::error ? result.text().substr(0, 200) : "no answer"}});
    }
    co_return false;
  }
  co_return true;
}

}  // namespace sealcast::leader::viewers
