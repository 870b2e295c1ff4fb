// Records for the relay which shards this sidecar leads, and up to which batch their frames are published.
//
// Invariants.
// - `published` is the last batch whose frames went to the transports. It only grows.
// - A shard is drained only while it is `caught_up`: led under an epoch of this connection, and published up to the
//   newest batch that existed when the lease was acquired. From then on this sidecar makes all batches of this epoch,
//   and gets their rows as the results of its own drains.
// - An epoch belongs to one connection: a drain whose result was lost may have made a batch. So after a lost connection
//   no shard is caught up, and a tail reads that batch before the next drain.
#pragma once

#include <cstdint>
#include <vector>

#include "transport/transport.h"

namespace sealcast::message {

// Shards as the parallel arrays that the SQL functions take.
struct ShardArrays {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> epochs;
  std::vector<std::int64_t> published;
};

class RelayShards {
 public:
  // Takes one row of sealcast.claim_shards(). Returns true if this sidecar has acquired or lost the lease. A new shard
  // begins at its newest batch: readers take older messages from the history.
  bool renew(std::int32_t id, std::int64_t epoch, bool led, std::int64_t newest);
  // Records that the frames of `batch` are published. Returns false for an unknown shard.
  bool advance(std::int32_t id, std::int64_t batch);
  // Marks the led shards as caught up whose newest batch is published. To be called after a tail.
  void catch_up();
  void lose_connection();
  // Records that sealcast.settle() has recorded the published batches of to_settle().
  void settle(const ShardArrays& settled);

  ShardArrays to_tail() const;
  ShardArrays to_drain() const;
  ShardArrays to_settle() const;

  std::int64_t led_count() const;
  // Replaces the content of `leads`.
  void write_leads(std::vector<transport::Lead>& leads) const;

 private:
  struct Shard {
    std::int32_t id;
    std::int64_t epoch;
    bool led;        // by this sidecar
    bool caught_up;  // may be drained
    std::int64_t published;
    std::int64_t newest;   // the newest batch at the last renewal
    std::int64_t settled;  // the published batch that Postgres knows
  };
  template <typename Predicate>
  ShardArrays select(Predicate selected) const;
  Shard* find(std::int32_t id);

  std::vector<Shard> shards_;
};

}  // namespace sealcast::message
