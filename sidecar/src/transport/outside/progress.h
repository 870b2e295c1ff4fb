// The progress of one transport in each shard that this sidecar leads: which relay batches are queued, and up to which
// batch all frames are delivered.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "transport/transport.h"

namespace sealcast::transport::outside {

class Progress {
 public:
  struct Shard {
    Lead lead;                // lead.batch is the newest batch that the relay has published
    std::int64_t acquired;    // the newest batch when this sidecar acquired the lease; a new transport begins after it
    bool started = false;     // the cursor was read from Postgres, so `queued` has a value
    std::int64_t queued = 0;  // all batches up to this one were queued
    // Batches with queued frames that are not delivered yet, in ascending order.
    struct Open {
      std::int64_t batch;
      std::size_t frames;
      std::int64_t ts;  // the member `ts` of the batch's first frame, in Unix milliseconds; 0: unknown
    };
    std::deque<Open> open;

    // Every batch that the relay has published is queued or delivered.
    bool current() const { return started && queued >= lead.batch; }
    // Returns the newest batch up to which everything is delivered, except frames of lagging streams.
    std::int64_t settled() const { return open.empty() ? queued : open.front().batch - 1; }
  };

  struct Changes {
    std::vector<std::int32_t> lost;  // the shards that this sidecar led before under an epoch that is not in `leads`
    bool acquired = false;           // this sidecar leads a shard under an epoch under which it did not lead before
  };
  // Sets which shards this sidecar leads, and removes the lost shards.
  Changes set_leads(std::span<const Lead> leads);

  // Returns null when this sidecar does not lead the shard. With `epoch`, also when it leads under another epoch.
  Shard* find(std::int32_t id);
  Shard* find(std::int32_t id, std::int64_t epoch);
  std::span<Shard> shards() { return shards_; }
  std::vector<Lead> leads() const;

  // Call add() when a frame was queued, and settle() when the frame was delivered or removed from its queue. Frames of
  // another epoch, and frames without a relay batch, change nothing.
  void add(const Frame& frame, std::int64_t epoch);
  void settle(const Frame& frame, std::int64_t epoch);

 private:
  std::vector<Shard> shards_;
};

}  // namespace sealcast::transport::outside
