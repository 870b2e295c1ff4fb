// Records in Redis which streams somebody follows, so that viewer counts are published only to these streams.
//
// A stream is followed for one viewer window after each of these events, at any sidecar:
// - a reader is connected to an event stream of it,
// - a user sends a heartbeat with a session,
// - the relay carries a message of a user.
// A heartbeat without a session does not count: anybody can send it, to every public stream. Readers at an outside
// service are not known here; the messages of users stand for them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/asio.h"
#include "base/event.h"
#include "client/redis/client.h"
#include "leader/viewers/viewer_store.h"
#include "transport/frame.h"

namespace sealcast::leader::viewers {

class Followers {
 public:
  // Returns the streams whose readers are connected to this sidecar.
  using ReadStreams = std::function<std::vector<std::string>()>;

  // `client` must stay valid as long as this object. `timeout` limits each command.
  Followers(asio::any_io_executor executor, redis::Client& client, std::chrono::milliseconds window,
            std::chrono::milliseconds timeout, ReadStreams read_streams);

  void start();
  void stop() { stopped_.set(); }

  void add(const std::string& stream_id) { added_.insert(stream_id); }
  // Adds the streams of the frames that have the message of a user.
  void observe(std::span<const transport::FramePtr> frames);

  // Writes what was added to Redis, and the streams with readers. The loop does it several times per viewer window.
  asio::awaitable<void> record();

  // Returns the followed streams of these shards, each once; nullopt when Redis does not return them.
  asio::awaitable<std::optional<std::unordered_set<std::string>>> find(std::span<const std::int32_t> shards);

 private:
  asio::awaitable<void> run();

  asio::any_io_executor executor_;
  ViewerStore store_;
  ReadStreams read_streams_;
  std::unordered_set<std::string> added_;     // since the last record()
  std::unordered_set<std::string> recorded_;  // in the third that began at recorded_in_
  std::int64_t recorded_in_ = 0;
  Event stopped_;
};

}  // namespace sealcast::leader::viewers
