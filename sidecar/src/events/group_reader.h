// Reads event partitions as a consumer group, and acknowledges entries.
//
// Each lease is a consumer of the group, named by the lease's epoch. A newer epoch takes over the unacknowledged
// entries of the older ones; an older epoch can no longer read.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/log.h"
#include "client/redis/script.h"
#include "events/event_partitions.h"
#include "events/replies.h"

namespace sealcast::events {

class GroupReader {
 public:
  enum class State {
    ok,
    unavailable,  // Redis does not answer, or refuses the command: retry
    superseded,   // a newer epoch reads this partition
    no_group,     // Redis has lost the group: call begin_lease() again
  };
  struct LeaseStart {
    State state;
    EntryId last_read{};  // the last entry that the group has read before
  };
  struct Batch {
    State state;
    std::vector<EntryPtr> entries;
  };
  struct Watched {
    std::size_t partition;
    EntryId position;
  };

  GroupReader(const asio::any_io_executor& executor, const config::Settings::RedisEvents& settings,
              redis::Options options, std::string group);

  void start();
  void stop();
  std::size_t partitions() const { return partitions_.count(); }

  // Creates the group if it is missing, and takes over the unacknowledged entries of earlier leases.
  asio::awaitable<LeaseStart> begin_lease(std::size_t partition, std::int64_t epoch);
  // Reads up to `count` new entries, or, with `after`, unacknowledged entries of this lease after that entry.
  asio::awaitable<Batch> read(std::size_t partition, std::int64_t epoch, std::size_t count,
                              std::optional<EntryId> after);
  // Returns false when the entries must be acknowledged again.
  asio::awaitable<bool> acknowledge(std::size_t partition, std::span<const EntryId> ids);
  // Returns the id of the newest entry; nothing when Redis does not answer or has no such partition.
  asio::awaitable<std::optional<EntryId>> newest(std::size_t partition);
  // Waits until a partition has an entry after its position, but about 100 ms at most. Uses a separate connection.
  asio::awaitable<void> wait_for_entries(std::span<const Watched> watched);

 private:
  State state_of(const redis::Result& result);

  EventPartitions partitions_;
  redis::Client waiting_client_;
  redis::Script begin_lease_;
  redis::Script read_;
  std::string group_;
  log::Throttle log_throttle_;
};

}  // namespace sealcast::events
