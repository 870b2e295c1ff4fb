// Assigns a stream to a shard. One sidecar at a time is the leader of a shard.
#pragma once

namespace sealcast::core {

inline constexpr int kShards = 4;  // a power of two; relay_leases has one row per shard

// `last_byte`: the last byte of the stream's id. It is random in all versions of UUIDs that are used as ids.
constexpr int shard_of(unsigned char last_byte) { return last_byte & (kShards - 1); }

}  // namespace sealcast::core
