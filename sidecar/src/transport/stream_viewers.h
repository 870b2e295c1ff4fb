// The viewers of each stream at the last count. The sidecar that leads a stream's shard counts its viewers and delivers
// its messages, so a delivery finds the counts in its own process.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>

namespace sealcast::transport {

class StreamViewers {
 public:
  void replace(std::unordered_map<std::string, std::int32_t> counts) { counts_ = std::move(counts); }

  // Returns 0 for a stream whose viewers are not counted.
  std::int32_t of(const std::string& stream_id) const {
    const auto found = counts_.find(stream_id);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  std::unordered_map<std::string, std::int32_t> counts_;
};

}  // namespace sealcast::transport
