// How far one transport has come in each shard that this sidecar leads: which relay batches are queued, and which are
// delivered completely.
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
    Lead lead;                // its batch is the newest that the relay has published
    bool started = false;     // the cursor was read from Postgres, so `queued` is valid
    std::int64_t queued = 0;  // all batches up to this one were queued
    // Batches with frames that are not settled, in ascending order.
    struct Open {
      std::int64_t batch;
      std::size_t frames;
      std::int64_t ts;  // of the first of them, in Unix milliseconds
    };
    std::deque<Open> open;

    bool current() const { return started && queued >= lead.batch; }
    std::int64_t settled() const { return open.empty() ? queued : open.front().batch - 1; }
  };

  // Returns the shards that this sidecar no longer leads, or leads under another epoch.
  std::vector<std::int32_t> set_leads(std::span<const Lead> leads);

  // Null when this sidecar does not lead the shard, or not under this epoch.
  Shard* find(std::int32_t id);
  Shard* find(std::int32_t id, std::int64_t epoch);
  std::span<Shard> shards() { return shards_; }
  std::vector<Lead> leads() const;

  // A frame was queued, or is delivered (or removed from the queue). Frames of an earlier epoch change nothing.
  void add(const Frame& frame, std::int64_t epoch);
  void settle(const Frame& frame, std::int64_t epoch);

 private:
  std::vector<Shard> shards_;
};

}  // namespace sealcast::transport::outside
