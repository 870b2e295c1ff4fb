// The number of viewers by stream, and the interface of the sources that count them.
#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "base/asio.h"

namespace sealcast::leader::viewers {

using ViewerCounts = std::unordered_map<std::string, std::int32_t>;  // by stream; a missing stream has no viewers

// A source may state any number, but the sum of two sources must fit into an int32.
inline std::int32_t bounded_viewers(std::int64_t stated) {
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(stated, 0, std::numeric_limits<std::int32_t>::max() / 2));
}

class ViewerSource {
 public:
  virtual ~ViewerSource() = default;
  // Counts the viewers of the streams of these shards; the result may contain other streams too. Returns nullopt while
  // the source is unavailable. Never throws.
  virtual asio::awaitable<std::optional<ViewerCounts>> count(std::span<const std::int32_t> shards) = 0;
  virtual void stop() {}  // ends a count() in progress
};

}  // namespace sealcast::leader::viewers
