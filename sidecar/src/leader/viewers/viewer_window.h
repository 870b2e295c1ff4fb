// The keys of Redis that hold who watches: time is cut into buckets, three to a window.
//
// sealcast:{<stream>}:viewers:<begin>:<slice>  a HyperLogLog of viewers that sent a heartbeat within the bucket
// sealcast:{watched-<shard>}:<begin>           a set of the streams that got one, so that nobody has to look for them
// <begin> is the bucket's first millisecond, by the sidecars' clocks. What stands in braces decides the node of a
// cluster. All expire by themselves.
//
// A HyperLogLog of Redis has a standard error of 0.81 % (https://redis.io/docs/latest/commands/pfcount/): of many
// streams, one in seventy would be off by more than 2 %. The sum over four, each with a quarter of the viewers, has
// half the error, and 2 % are five times that.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::leader::viewers::buckets {

using std::chrono::milliseconds;

inline constexpr int kInWindow = 3;

inline std::int64_t now() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

inline std::int64_t width(milliseconds window) { return window.count() / kInWindow; }

// The bucket of this moment.
inline std::int64_t current(milliseconds window) { return now() / width(window) * width(window); }

// What a count takes together: whoever sent a heartbeat within the window, also by a clock that is a little ahead.
inline std::vector<std::int64_t> live(milliseconds window) {
  std::vector<std::int64_t> begins;
  for (int i = -kInWindow; i <= 1; ++i) begins.push_back(current(window) + i * width(window));
  return begins;
}

inline milliseconds lifetime(milliseconds window) { return 2 * window; }

// Of a viewer, by its hash.
inline constexpr int kSlices = 4;
inline int slice_of(std::string_view hash) { return static_cast<unsigned char>(hash.front()) % kSlices; }

inline std::string viewers_key(std::string_view stream_id, std::int64_t begin, int slice) {
  return "sealcast:{" + std::string(stream_id) + "}:viewers:" + std::to_string(begin) + ":" + std::to_string(slice);
}

inline std::string watched_key(std::int32_t shard, std::int64_t begin) {
  return "sealcast:{watched-" + std::to_string(shard) + "}:" + std::to_string(begin);
}

}  // namespace sealcast::leader::viewers::buckets
