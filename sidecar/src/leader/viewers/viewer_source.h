// How many watch which stream.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>

namespace sealcast::leader::viewers {

using ViewerCounts = std::unordered_map<std::string, std::int32_t>;  // by stream; one that is missing has none

// What others say of a stream's viewers may be any number; the counts of two sources have to fit into one together.
inline std::int32_t bounded_viewers(std::int64_t said) {
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(said, 0, std::numeric_limits<std::int32_t>::max() / 2));
}

}  // namespace sealcast::leader::viewers
