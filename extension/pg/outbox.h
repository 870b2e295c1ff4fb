// The outbox: where a message goes in it, and what of it comes next.
#pragma once

#include "pg.h"
#include "position.h"

namespace sealcast {

// Streams are spread over shards; each shard is relayed by one sidecar at a time. By the last byte, which is random in
// every kind of UUID that is made for ids.
inline int shard_of(const pg_uuid_t& stream_id) {
  constexpr int kShards = 4;  // a power of two; relay_leases has a row for each
  return stream_id.data[UUID_LEN - 1] & (kShards - 1);
}

// The segment that takes new rows.
int16 outbox_segment();

// The message_id that was given last; 0 before the first.
int64 newest_message_id();

struct OutboxRow {
  int64 message_id;
  int64 ts;
  pg_uuid_t stream_id;
  int shard;
  int64 offset;  // given later
};

// Up to where shards that stand at one position have relayed, and how far they now go. All that `seen` sees is relayed;
// of what became visible from there to `target`, what is up to after_id. A transaction after …_xid has message_ids
// beyond …_id (see relay_log).
struct Window {
  Position seen;
  uint64 seen_xid;
  int64 seen_id;
  Position target;
  uint64 target_xid;
  int64 target_id;
  int64 after_id;
};

// The window's first rows for those shards (a bit each), at most max_rows, in order of message_id: what was sent after
// another message was committed comes after it, whichever transaction began first. All are index ranges, so this costs
// what is new, whatever was rolled back and however long somebody's transaction runs.
std::span<OutboxRow> next_rows(const Window& window, uint32 shards, int max_rows);

}  // namespace sealcast
