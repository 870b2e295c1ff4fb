// The number of viewers of each stream, and the interface of the sources that count viewers.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/asio.h"

namespace sealcast::leader::viewers {

// By stream. A stream without an entry has no viewers.
using ViewerCounts = std::unordered_map<std::string, std::int32_t>;

// The streams that have followers (followers.h); nullopt if they are unknown.
using FollowedStreams = std::optional<std::unordered_set<std::string>>;

// Limits the number that a source returned to 0 … half of the largest int32: the sum of two sources must fit into an
// int32.
inline std::int32_t bounded_viewers(std::int64_t stated) {
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(stated, 0, std::numeric_limits<std::int32_t>::max() / 2));
}

class ViewerSource {
 public:
  virtual ~ViewerSource() = default;
  // Counts the viewers of all streams in these shards. The result may also contain streams of other shards. `followed`
  // are the followed streams of these shards: a source that must ask for each stream asks for these. Returns nullopt
  // while the source is unavailable. Never throws.
  virtual asio::awaitable<std::optional<ViewerCounts>> count(std::span<const std::int32_t> shards,
                                                             const FollowedStreams& followed) = 0;
  virtual void stop() {}  // ends a count() in progress
};

}  // namespace sealcast::leader::viewers
