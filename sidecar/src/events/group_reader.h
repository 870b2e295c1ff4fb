// Reads event partitions as a consumer group, and acknowledges entries.
//
// Each lease of a partition is a consumer of the group in Redis. The name of the consumer is the epoch of the lease. A
// lease with a newer epoch takes over the unacknowledged entries of the leases before it. A lease with an older epoch
// can no longer read.
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
    unavailable,  // Redis does not answer, or refuses the command; the caller retries
    superseded,   // a lease with a newer epoch reads this partition
    no_group,     // Redis has lost the partition, the group or this lease; the caller calls begin_lease() again
  };
  struct LeaseStart {
    State state;
    EntryId last_read{};           // the last entry that the group had read before this lease began
    std::int64_t newer_epoch = 0;  // the highest epoch that Redis knows, if the lease is superseded
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
  bool connected() { return partitions_.client().connected(); }
  void set_partitions(std::size_t count) { partitions_.set_count(count); }

  // Creates the group if it is missing, and takes over the unacknowledged entries of earlier leases.
  asio::awaitable<LeaseStart> begin_lease(std::size_t partition, std::int64_t epoch);
  // Without `after`, reads up to `count` entries that the group has not read yet. With `after`, reads up to `count`
  // unacknowledged entries of this lease whose ids are higher than `after`.
  asio::awaitable<Batch> read(std::size_t partition, std::int64_t epoch, std::size_t count,
                              std::optional<EntryId> after);
  // Returns false after a failure: the caller must acknowledge the same entries again. Returns true when Redis has lost
  // the group, because then nothing is left to acknowledge.
  asio::awaitable<bool> acknowledge(std::size_t partition, std::span<const EntryId> ids);
  // Returns the id of the newest entry. Returns nullopt when Redis does not answer or has no such partition.
  asio::awaitable<std::optional<EntryId>> newest(std::size_t partition);
  // Waits until one of the partitions has an entry after its position. Returns after about 100 ms even without one;
  // while Redis does not answer, a call takes longer (about the timeout of a call and 200 ms). Uses a separate
  // connection.
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
