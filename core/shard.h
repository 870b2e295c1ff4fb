// Streams are spread over shards; each shard is led by one sidecar at a time.
#pragma once

namespace sealcast::core {

inline constexpr int kShards = 4;  // a power of two; relay_leases has a row for each

// By the last byte of the stream's id, which is random in every kind of UUID that is made for ids.
constexpr int shard_of(unsigned char last_byte) { return last_byte & (kShards - 1); }

}  // namespace sealcast::core
