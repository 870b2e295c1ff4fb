// Where viewers are counted: each source knows how many watch which stream, or does not know.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/asio.h"
#include "leader/viewers/viewer_counts.h"

namespace sealcast::leader::viewers {

class ViewerSource {
 public:
  virtual ~ViewerSource() = default;
  virtual std::string_view name() const = 0;
  // Of the streams of these shards, others may be among them. Nullopt: the source is away. Never throws.
  virtual asio::awaitable<std::optional<ViewerCounts>> count(std::span<const std::int32_t> shards) = 0;
  virtual void stop() {}  // what is under way ends
};

}  // namespace sealcast::leader::viewers
