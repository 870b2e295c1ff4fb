// Where in the outbox a message goes.
#pragma once

#include "pg.h"

namespace sealcast {

// Streams are spread over shards; each shard is relayed by one sidecar at a time. By the last byte, which is random in
// every kind of UUID that is made for ids.
inline int shard_of(const pg_uuid_t& stream_id) {
  constexpr int kShards = 4;  // a power of two; relay_leases has a row for each
  return stream_id.data[UUID_LEN - 1] & (kShards - 1);
}

// The segment that takes new rows.
int16 outbox_segment();

}  // namespace sealcast
