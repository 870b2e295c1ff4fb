// Finds the newest offsets of streams.
#pragma once

#include "relay/outbox.h"
#include "server/index_lookup.h"

namespace sealcast::relay {

// Opens each day partition of stream_runs once for many streams. Reads with the active snapshot. Trivially
// destructible.
class LastOffsets {
 public:
  static LastOffsets open();
  void close();

  // Returns offset 0 before the first message, and the default rate. Reads the partitions from the newest day back:
  // logged_at never decreases within a shard, so an older partition has no newer run.
  StreamProgress progress_of(const pg_uuid_t& stream_id);

 private:
  // A partition is opened at its first use.
  struct Day {
    Oid partition;
    bool opened;
    server::IndexLookup rows;
    int offset, messages, public_before, public_bits;
  };
  Relation log_;
  Day* days_;
  std::size_t count_;
};

}  // namespace sealcast::relay
