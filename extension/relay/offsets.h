// The newest offsets of a stream.
#pragma once

#include "relay/outbox.h"
#include "server/index_lookup.h"

namespace sealcast::relay {

// Finds them for many streams. Reads with the active snapshot; trivially destructible.
class LastOffsets {
 public:
  static LastOffsets open();
  void close();

  // 0 before the first message. The rate is left as it is by default. From the newest day back: logged_at never falls
  // within a shard, so nothing newer is in an older partition.
  StreamState of(const pg_uuid_t& stream_id);

 private:
  // A partition is opened when it is first looked into.
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
