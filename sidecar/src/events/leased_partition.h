// One event partition while this worker leases it under one epoch: reads entries, applies them, acknowledges them.
//
// - The partition first reads the unacknowledged entries of earlier leases, then new entries. So the events of a sender
//   are applied in order.
// - A failed event is postponed, with all later events of its sender for the same handler. Postponed events are retried
//   with growing pauses on the retry lane, while the partition continues.
// - An entry is acknowledged when every handler has finished it, after the commit. Postponed entries are not
//   acknowledged: the next lease reads them again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/asio.h"
#include "events/applier.h"
#include "events/group_reader.h"

namespace sealcast::events {

using EventHandlers = std::vector<std::shared_ptr<const EventHandler>>;

// A copy refers to the same partition.
class LeasedPartition {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts at once. The references outlive the partition; the content of `handlers` may change at any time.
  LeasedPartition(asio::any_io_executor executor, GroupReader& reader, Applier& applier, const EventHandlers& handlers,
                  std::int32_t id, std::int64_t epoch);

  void stop();  // begins no further batch; the current batch ends
  bool ended() const;
  asio::awaitable<bool> wait_ended(Clock::time_point deadline) const;  // false at `deadline`

  std::int64_t epoch() const;
  bool idle() const;  // all entries are read
  void wake();        // reads again, if the partition is idle
  std::size_t postponed() const;

  // The last entry that was read.
  EntryId position() const;
  // True when `id` and all earlier entries are acknowledged.
  bool finished(const EntryId& id) const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::events
