// The Redis keys that hold the viewers of a stream, one set of keys for each third of the viewer window.
//
// sealcast:{<stream>}:viewers:<begin>:<slice>  a HyperLogLog of the viewers that sent a heartbeat within this third
// sealcast:{watched-<shard>}:<begin>           a set of the streams that got a heartbeat, so that a count finds them
// sealcast:{followed-<shard>}:<begin>          a set of the streams that somebody follows (followers.h)
// <begin> is the first millisecond of the third, by the clock of the sidecar. <slice> is 0 to 3 (see below). The text
// in braces selects the node of a Redis Cluster. All keys expire.
//
// A HyperLogLog of Redis has a standard error of 0.81 % (https://redis.io/docs/latest/commands/pfcount/), so one stream
// in seventy would have an error of more than 2 %. So the viewers of a stream are spread over four HyperLogLogs, the
// slices. The sum of four HyperLogLogs has half the standard error, so that 2 % are five standard errors.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::leader::viewers {

class ViewerWindow {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr int kThirds = 3;
  static constexpr int kSlices = 4;  // HyperLogLogs per stream and third

  explicit ViewerWindow(Milliseconds window) : window_(window) {}

  // Returns the beginning of the current third.
  std::int64_t current() const {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<Milliseconds>(now).count() / width() * width();
  }

  // Returns the beginnings of the thirds that a count must include: the current third and the three before it, which
  // contain the whole window, and the next third, because the clock of another sidecar may be a little ahead.
  std::vector<std::int64_t> counted() const {
    std::vector<std::int64_t> begins;
    for (int i = -kThirds; i <= 1; ++i) begins.push_back(current() + i * width());
    return begins;
  }

  Milliseconds length() const { return window_; }
  Milliseconds key_lifetime() const { return 2 * window_; }

  // Returns the slice for the hash of a viewer: one viewer is always in the same slice of a stream.
  static int slice_of(std::string_view hash) { return static_cast<unsigned char>(hash.front()) % kSlices; }

  static std::string viewers_key(std::string_view stream_id, std::int64_t begin, int slice) {
    return "sealcast:{" + std::string(stream_id) + "}:viewers:" + std::to_string(begin) + ":" + std::to_string(slice);
  }

  static std::string watched_key(std::int32_t shard, std::int64_t begin) {
    return "sealcast:{watched-" + std::to_string(shard) + "}:" + std::to_string(begin);
  }

  static std::string followed_key(std::int32_t shard, std::int64_t begin) {
    return "sealcast:{followed-" + std::to_string(shard) + "}:" + std::to_string(begin);
  }

 private:
  std::int64_t width() const { return window_.count() / kThirds; }

  Milliseconds window_;
};

}  // namespace sealcast::leader::viewers
