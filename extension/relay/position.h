// The position of a shard: how far its messages are relayed.
#pragma once

#include "server/pg.h"

extern "C" {
#include "access/transam.h"
}

namespace sealcast::relay {

// The content of a pg_snapshot: which transactions had ended at one moment.
struct XidSnapshot {
  uint64 xmin;                      // all transactions before this one had ended
  uint64 xmax;                      // this transaction and all later ones had not ended
  std::span<const uint64> running;  // sorted; the transactions from xmin to xmax that had not ended

  bool has_ended(uint64 xid) const;
};

XidSnapshot parse_snapshot(const char* text);
const char* to_text(const XidSnapshot& snapshot);

// Returns the active snapshot, with this transaction (own_xid) added to the running ones. So the snapshot does not
// treat messages as relayed that this transaction inserts after the drain.
XidSnapshot committed_snapshot(uint64 own_xid);

// A position: all messages that are visible in `snapshot` are relayed. Every transaction with an xid after `xid` has
// message_ids beyond `id`. The reason: admission takes its xid before its ids, and drain() reads the newest id before
// it takes its xid.
struct Position {
  const char* snapshot;  // the text form of a pg_snapshot
  uint64 xid;
  int64 id;

  bool operator==(const Position& other) const {
    return std::strcmp(snapshot, other.snapshot) == 0 && xid == other.xid && id == other.id;
  }
};

// The position of a shard of which nothing is relayed yet.
inline constexpr Position kStart{"1:1:", 0, 0};

}  // namespace sealcast::relay
