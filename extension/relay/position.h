// Positions of the relay: how far a shard is relayed.
#pragma once

#include "server/pg.h"

extern "C" {
#include "access/transam.h"
}

namespace sealcast::relay {

// The transactions that had ended at one moment: a pg_snapshot with its fields.
struct XidSnapshot {
  uint64 xmin;
  uint64 xmax;
  std::span<const uint64> running;  // sorted; between xmin and xmax

  bool has_ended(uint64 xid) const;
};

XidSnapshot parse_snapshot(const char* text);
const char* to_text(const XidSnapshot& snapshot);

// Returns the active snapshot with this transaction among the running ones: messages that this transaction inserts
// later are not relayed yet.
XidSnapshot committed_snapshot(uint64 own_xid);

// All messages that `snapshot` sees are relayed. Every transaction after `xid` has message_ids beyond `id`: see the
// table relay_log for the reason.
struct Position {
  const char* snapshot;  // the text form of a pg_snapshot
  uint64 xid;
  int64 id;

  bool operator==(const Position& other) const {
    return std::strcmp(snapshot, other.snapshot) == 0 && xid == other.xid && id == other.id;
  }
};

// Nothing is relayed.
inline constexpr Position kStart{"1:1:", 0, 0};

}  // namespace sealcast::relay
