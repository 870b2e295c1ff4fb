// Records for the relay which shards this sidecar leads, and up to which relay batch their frames are published. In
// this file a batch is a relay batch.
//
// Invariants:
// - `published` is the last batch of the shard whose frames the transports got. It only grows.
// - A shard is drained only while it is `caught_up`. Caught up means: this sidecar leads the shard under an epoch of
//   the current connection, and has published all batches that existed when it acquired the lease. After that, this
//   sidecar itself makes all batches of the epoch, and gets their rows as the results of its drains.
// - After a lost connection no shard is caught up. The reason: the last drain may have made a batch although its result
//   was lost. The new connection has a new epoch, and a tail reads that batch before the next drain.
#pragma once

#include <cstdint>
#include <vector>

#include "transport/transport.h"

namespace sealcast::message {

// A list of shards as parallel arrays, which are arguments of the SQL functions.
struct ShardArrays {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> epochs;
  std::vector<std::int64_t> published;
};

// A batch that the database has: another batch with its number has another time.
struct KnownBatch {
  std::int64_t number;
  std::int64_t logged_at;  // Unix ms; 0: the shard has no batch
};

// The batches that the database of the log must have, as parallel arrays.
struct KnownBatches {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> published;
  std::vector<std::int64_t> newest;
  std::vector<std::int64_t> logged_at;  // of `newest`
};

class RelayShards {
 public:
  // Records one row of sealcast_internal.claim_shards(). Returns true if this sidecar has acquired or lost the lease of
  // the shard. `newest` is the newest batch of the shard. At the first row of a shard, that batch counts as published:
  // the transports get only later messages, and readers get older messages from the history.
  bool renew(std::int32_t id, std::int64_t epoch, bool led, KnownBatch newest);
  // Records that the frames of `batch` are published. Returns false if renew() was never called for the shard.
  bool advance(std::int32_t id, std::int64_t batch);
  // Marks each led shard as caught up if its newest batch is published. Must be called after the rows of a tail were
  // published.
  void catch_up();
  void forget();           // must be called when the log has another epoch: the batches of all shards are void
  void lose_connection();  // must be called when the connection is lost: no shard is caught up any more
  // Must be called after sealcast_internal.settle() has recorded the shards that to_settle() returned.
  void settle(const ShardArrays& settled);

  ShardArrays to_tail() const;    // the shards that are not caught up
  ShardArrays to_drain() const;   // the shards that are caught up
  ShardArrays to_settle() const;  // the shards that are caught up and whose last published batch is not settled

  KnownBatches known() const;
  std::int64_t led_count() const;
  // Replaces the content of `leads` by the shards that this sidecar leads.
  void write_leads(std::vector<transport::Lead>& leads) const;

 private:
  struct Shard {
    std::int32_t id;
    std::int64_t epoch;
    bool led;        // this sidecar leads the shard
    bool caught_up;  // this sidecar may drain the shard
    std::int64_t published;
    KnownBatch newest;     // at the last renewal
    std::int64_t settled;  // the last batch that sealcast_internal.settle() has recorded; at first the newest batch
  };
  template <typename Predicate>
  ShardArrays select(Predicate selected) const;
  Shard* find(std::int32_t id);

  std::vector<Shard> shards_;
};

}  // namespace sealcast::message
