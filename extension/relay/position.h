// Positions of the relay: which transactions had ended at a moment (type pg_snapshot).
#pragma once

#include "server/pg.h"

extern "C" {
#include "access/transam.h"
}

namespace sealcast::relay {

struct Position {
  uint64 xmin;
  uint64 xmax;
  std::span<const uint64> running;  // between the two

  bool has_ended(uint64 xid) const;
};

// The text form of pg_snapshot, as it stands in relay_log.
Position read_position(const char* text);
const char* to_text(const Position& position);

// What the active snapshot sees, with this transaction among the running: what it may yet insert is not relayed.
Position committed_position(uint64 own_xid);

}  // namespace sealcast::relay
