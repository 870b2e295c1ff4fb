// Counts by whole seconds.
#include "leader/sampling/velocity.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace sealcast::leader::sampling {
namespace {

std::int64_t second_of(Velocity::Clock::time_point now) {
  return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
}

}  // namespace

void Velocity::turn(std::int64_t second) {
  for (; second_ < second; ++second_) {
    if (streams_.empty()) second_ = second - 1;
    for (auto at = streams_.begin(); at != streams_.end();) {
      Seconds& stream = at->second;
      std::rotate(stream.counts.begin(), stream.counts.begin() + 1, stream.counts.end());
      stream.counts.back() = std::exchange(stream.current, 0);
      const bool idle = std::ranges::all_of(stream.counts, [](std::uint32_t count) { return count == 0; });
      at = idle ? streams_.erase(at) : std::next(at);
    }
  }
}

void Velocity::count(std::span<const transport::FramePtr> frames, Clock::time_point now) {
  turn(second_of(now));
  Seconds* stream = nullptr;
  const std::string* id = nullptr;
  for (const transport::FramePtr& frame : frames) {
    if (!id || *id != frame->stream_id) {
      id = &frame->stream_id;
      stream = &streams_[*id];
    }
    ++stream->current;
  }
}

const std::unordered_map<std::string, double>& Velocity::measure(Clock::time_point now) {
  turn(second_of(now));
  measured_.clear();
  for (const auto& [id, stream] : streams_) {
    const auto total = std::accumulate(stream.counts.begin(), stream.counts.end(), 0.0);
    if (total > 0) measured_[id] = total / static_cast<double>(stream.counts.size());
  }
  return measured_;
}

}  // namespace sealcast::leader::sampling
