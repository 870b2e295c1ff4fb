// Finds the newest offset of a stream, among all its messages and among those on the public channel.
#pragma once

#include "relay/day_runs.h"
#include "relay/outbox.h"

namespace sealcast::relay {

// Finds the newest offsets of many streams, and opens each day partition of stream_runs only once for all of them.
// Reads with the active snapshot. Trivially destructible, because after an error no destructor runs.
class LastOffsets {
 public:
  static LastOffsets open();
  void close();

  // Returns the newest offsets of a stream, both 0 if it has no offsets yet. If retention has dropped all its offsets,
  // both are the newest dropped offset. `rate` is not looked up and keeps its default. The partitions are read from the
  // newest day back: logged_at never decreases within a stream, so an older partition never contains a newer run. The
  // default partition is read too, because its rows are of any day.
  StreamProgress progress_of(const pg_uuid_t& stream_id);

 private:
  RunLog log_;
};

}  // namespace sealcast::relay
