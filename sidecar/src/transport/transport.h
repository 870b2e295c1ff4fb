// A transport: a way to readers, to which the relay hands every frame.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "transport/frame.h"

namespace sealcast::transport {

// A shard that this sidecar leads, and the last batch whose frames were published.
struct Lead {
  std::int32_t shard;
  std::int64_t epoch;
  std::int64_t batch;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::string_view name() const = 0;
  virtual Channel channel() const = 0;
  // Takes the frames of one round, in order per stream, and what is led now: also without frames when that changed.
  // Returns at once: a transport queues within its own bound.
  virtual void publish(std::span<const FramePtr> frames, std::span<const Lead> leads) = 0;
  // Frames are delivered once publish() has returned, and the relay records so.
  virtual bool delivers_at_once() const = 0;
};

}  // namespace sealcast::transport
