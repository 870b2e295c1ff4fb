// One event partition while this worker leases it under one epoch. Reads the entries of the partition, applies the
// handlers to them, and acknowledges them.
//
// - A new lease first reads the unacknowledged entries of earlier leases, then new entries. So it applies the events of
//   a sender in order.
// - An entry is acknowledged after Postgres has committed an outcome for every handler. A failed event and the later
//   events of its sender wait in Postgres (see late_events.h). If the lease ends before the acknowledgement, the next
//   lease reads the entry again.
// - The partition holds one batch in memory.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/asio.h"
#include "events/applier.h"
#include "events/group_reader.h"

namespace sealcast::events {

using EventHandlers = std::vector<std::shared_ptr<const EventHandler>>;

// A copy of this object refers to the same running partition.
class LeasedPartition {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts reading at once. `reader`, `applier` and `handlers` must stay valid until the partition has ended. The
  // content of `handlers` may change at any time.
  LeasedPartition(asio::any_io_executor executor, GroupReader& reader, Applier& applier, const EventHandlers& handlers,
                  std::int32_t id, std::int64_t epoch);

  void stop();  // lets the current batch finish and begins no further batch
  bool ended() const;
  // Returns true when the partition has ended, false when `deadline` came first.
  asio::awaitable<bool> wait_ended(Clock::time_point deadline) const;

  std::int64_t epoch() const;
  // Returns the epoch that kept this lease from beginning, or 0. It can be higher than every epoch in Postgres: after a
  // failover, Postgres may lack the newest leases.
  std::int64_t superseded_by() const;
  // Returns when the partition last finished an event, or found that it has none. Returns a time before the lease if it
  // has not done so yet.
  Clock::time_point progressed_at() const;
  bool idle() const;  // the last read returned no entries, and the partition waits
  void wake();        // ends the wait of an idle partition, so that it reads again

  // Returns the id of the last entry that the group has read, in this lease or before it.
  EntryId position() const;
  // Returns true when the entry `id` and all earlier entries are acknowledged.
  bool finished(const EntryId& id) const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::events
