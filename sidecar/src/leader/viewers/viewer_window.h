// The Redis keys that hold the viewers of a stream, one set of keys for each third of the viewer window.
//
// sealcast:{<stream>}:viewers:<begin>:<slice>  a HyperLogLog of the viewers that sent a heartbeat within this third
// sealcast:{watched-<shard>}:<begin>           a set of the streams that got a heartbeat, so that no search is needed
// <begin> is the first millisecond of the third, by the clock of the sidecar. The text in braces selects the node of a
// Redis Cluster. All keys expire.
//
// A HyperLogLog of Redis has a standard error of 0.81 % (https://redis.io/docs/latest/commands/pfcount/), so one stream
// in seventy would be off by more than 2 %. The sum of four HyperLogLogs, each with a quarter of the viewers, has half
// the standard error, so that 2 % are five standard errors.
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

  // Returns the beginning of the third that contains this moment.
  std::int64_t current() const {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<Milliseconds>(now).count() / width() * width();
  }

  // Returns the beginnings of the thirds that a count adds up: all of the window, and one more because the clock of
  // another sidecar may be a little ahead.
  std::vector<std::int64_t> counted() const {
    std::vector<std::int64_t> begins;
    for (int i = -kThirds; i <= 1; ++i) begins.push_back(current() + i * width());
    return begins;
  }

  Milliseconds length() const { return window_; }
  Milliseconds key_lifetime() const { return 2 * window_; }

  // Selects the slice of a viewer by the hash of the viewer.
  static int slice_of(std::string_view hash) { return static_cast<unsigned char>(hash.front()) % kSlices; }

  static std::string viewers_key(std::string_view stream_id, std::int64_t begin, int slice) {
    return "sealcast:{" + std::string(stream_id) + "}:viewers:" + std::to_string(begin) + ":" + std::to_string(slice);
  }

  static std::string watched_key(std::int32_t shard, std::int64_t begin) {
    return "sealcast:{watched-" + std::to_string(shard) + "}:" + std::to_string(begin);
  }

 private:
  std::int64_t width() const { return window_.count() / kThirds; }

  Milliseconds window_;
};

}  // namespace sealcast::leader::viewers
