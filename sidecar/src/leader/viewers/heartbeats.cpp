// Hashes the viewers, forms batches of heartbeats per stream, and adds each batch to Redis.
#include "leader/viewers/heartbeats.h"

#include <algorithm>
#include <array>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/event.h"
#include "client/postgres/params.h"
#include "core/digest.h"
#include "core/shard.h"
#include "leader/viewers/viewer_store.h"

namespace sealcast::leader::viewers {
namespace {

constexpr std::chrono::milliseconds kPace{50};  // minimum time between the starts of two batches of a stream
constexpr std::size_t kHashBytes = 16;

// Hashes the viewer together with the stream, so that the hashes of one viewer in two streams cannot be matched.
std::string hash_of(std::string_view stream_id, std::string_view viewer) {
  std::string text(stream_id);
  text += '|';
  text += viewer;
  const core::Digest digest = core::sha256(text);
  return {reinterpret_cast<const char*>(digest.data()), kHashBytes};
}

}  // namespace

class Heartbeats::Writer {
 public:
  Writer(asio::any_io_executor executor, redis::Client& client, Metrics& metrics,
         const config::Settings::Audience& settings, std::chrono::milliseconds timeout);

  asio::awaitable<HeartbeatOutcome> add(std::string_view stream_id, std::string_view viewer);

 private:
  using Handler = asio::any_completion_handler<void(HeartbeatOutcome)>;
  using Slices = std::array<std::vector<std::string>, ViewerWindow::kSlices>;  // the hashes of viewers, by slice
  struct Stream {
    Slices viewers;
    std::vector<Handler> waiting;
    bool writing = false;
  };

  void enqueue(std::string_view stream_id, std::string_view viewer, Handler handler);
  asio::awaitable<void> write_batches(std::string stream_id);
  asio::awaitable<bool> write_batch(const std::string& stream_id, const Slices& viewers);

  asio::any_io_executor executor_;
  Metrics& metrics_;
  ViewerStore store_;
  const std::size_t max_waiting_;
  // By stream id. Contains the streams with heartbeats that wait or are being written.
  std::unordered_map<std::string, Stream> streams_;
  std::size_t waiting_ = 0;
};

Heartbeats::Writer::Writer(asio::any_io_executor executor, redis::Client& client, Metrics& metrics,
                           const config::Settings::Audience& settings, std::chrono::milliseconds timeout)
    : executor_(std::move(executor)),
      metrics_(metrics),
      store_(client, ViewerWindow(settings.window), timeout),
      max_waiting_(settings.max_waiting) {}

asio::awaitable<HeartbeatOutcome> Heartbeats::Writer::add(std::string_view stream_id, std::string_view viewer) {
  HeartbeatOutcome outcome = HeartbeatOutcome::overloaded;
  if (waiting_ < max_waiting_) {
    outcome = co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(HeartbeatOutcome)>(
        [this](auto handler, std::string_view stream, std::string_view watcher) {
          enqueue(stream, watcher, Handler(std::move(handler)));
        },
        asio::use_awaitable, stream_id, viewer);
  }
  switch (outcome) {
    case HeartbeatOutcome::counted:
      metrics_.heartbeats_counted.Increment();
      break;
    case HeartbeatOutcome::unavailable:
      metrics_.heartbeats_unavailable.Increment();
      break;
    case HeartbeatOutcome::overloaded:
      metrics_.heartbeats_overloaded.Increment();
      break;
  }
  co_return outcome;
}

void Heartbeats::Writer::enqueue(std::string_view stream_id, std::string_view viewer, Handler handler) {
  ++waiting_;
  std::string key(stream_id);
  Stream& stream = streams_[key];
  std::string hash = hash_of(stream_id, viewer);
  stream.viewers[static_cast<std::size_t>(ViewerWindow::slice_of(hash))].push_back(std::move(hash));
  stream.waiting.push_back(std::move(handler));
  if (!std::exchange(stream.writing, true)) asio::co_spawn(executor_, write_batches(std::move(key)), asio::detached);
}

// Writes batches until no heartbeat of the stream waits.
asio::awaitable<void> Heartbeats::Writer::write_batches(std::string stream_id) {
  while (true) {
    Stream& stream = streams_[stream_id];
    if (stream.waiting.empty()) {
      streams_.erase(stream_id);
      co_return;
    }
    const Slices viewers = std::exchange(stream.viewers, {});
    std::vector<Handler> waiting = std::exchange(stream.waiting, {});
    const auto next = redis::Clock::now() + kPace;
    const HeartbeatOutcome outcome =
        co_await write_batch(stream_id, viewers) ? HeartbeatOutcome::counted : HeartbeatOutcome::unavailable;
    waiting_ -= waiting.size();
    for (Handler& handler : waiting) asio::post(executor_, asio::append(std::move(handler), outcome));
    co_await sleep_until(next);
  }
}

asio::awaitable<bool> Heartbeats::Writer::write_batch(const std::string& stream_id, const Slices& viewers) {
  const std::int64_t begin = store_.window().current();
  for (std::size_t slice = 0; slice < viewers.size(); ++slice) {
    std::string key = ViewerWindow::viewers_key(stream_id, begin, static_cast<int>(slice));
    if (!co_await store_.add("PFADD", std::move(key), viewers[slice])) co_return false;
  }
  const std::vector<std::string> watched{stream_id};
  const std::int32_t shard = core::shard_of(postgres::uuid_bytes(stream_id).back());
  co_return co_await store_.add("SADD", ViewerWindow::watched_key(shard, begin), watched);
}

Heartbeats::Heartbeats(asio::any_io_executor executor, redis::Client& client, Metrics& metrics,
                       const config::Settings::Audience& settings, std::chrono::milliseconds timeout)
    : writer_(std::make_unique<Writer>(std::move(executor), client, metrics, settings, timeout)) {}

Heartbeats::~Heartbeats() = default;

asio::awaitable<HeartbeatOutcome> Heartbeats::add(std::string_view stream_id, std::string_view viewer) {
  return writer_->add(stream_id, viewer);
}

}  // namespace sealcast::leader::viewers
