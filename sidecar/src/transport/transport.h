// The interface of a transport: a way by which readers get frames. The relay gives each frame to every transport whose
// channel carries the frame.
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
  std::int64_t batch;  // the newest relay batch that the relay has published, with the frames of this call
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::string_view name() const = 0;
  virtual Channel channel() const = 0;
  // `frames` come from one drain, or were drained by another sidecar and read here (tail). They are in order of offset
  // per stream. `leads` contains all shards that this sidecar leads now. The relay also calls publish() without frames
  // when the leads have changed. publish() must not block: each transport queues frames within its own limit.
  virtual void publish(std::span<const FramePtr> frames, std::span<const Lead> leads) = 0;
  // The relay calls it when it learns the epoch of the log (docs/delivery.md): before the first publish(), and again
  // when the database has another history. All offsets and batches from before are void then. All shards have new lease
  // epochs in the next publish().
  virtual void begin_log(std::string_view /*log_epoch*/) {}
  // Returns true when all frames are delivered as soon as publish() returns. In that case the relay records the
  // progress of the transport. Otherwise the transport records its progress itself.
  virtual bool delivers_at_once() const = 0;
};

}  // namespace sealcast::transport
