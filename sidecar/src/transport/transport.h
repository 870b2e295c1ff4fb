// The interface of a transport: a way to readers. The relay gives every frame to every transport.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "transport/frame.h"

namespace sealcast::transport {

// A shard whose lease this sidecar holds.
struct Lead {
  std::int32_t shard;
  std::int64_t epoch;
  std::int64_t batch;  // the newest relay batch whose frames were given to publish()
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::string_view name() const = 0;
  virtual Channel channel() const = 0;
  // `frames` come from one drain, in order per stream. `leads` has all shards that this sidecar leads now. The relay
  // also calls this without frames when the leads have changed. Must not block: a transport queues frames within a
  // bound of its own.
  virtual void publish(std::span<const FramePtr> frames, std::span<const Lead> leads) = 0;
  // True when frames are delivered once publish() has returned: the relay then records the progress of this transport.
  virtual bool delivers_at_once() const = 0;
};

}  // namespace sealcast::transport
