// A consumer group's side of the event partitions in Redis. Each lease is a consumer of its own, named after the
// lease's epoch: who holds an older one reads nothing any more, and what it had not acknowledged goes to the new one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/asio.h"
#include "client/redis/script.h"
#include "events/entry.h"
#include "events/event_partitions.h"

namespace sealcast::events {

class GroupReader {
 public:
  enum class State {
    ok,
    unavailable,  // Redis does not answer, or refuses: try again
    superseded,   // a newer epoch reads this partition
    no_group,     // Redis has lost it: take() makes it anew
  };
  struct Taken {
    State state;
    EntryId delivered{};  // up to here entries were given out before
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

  // Begins a lease: makes the group if it is not there, and takes over what earlier leases have left.
  asio::awaitable<Taken> take(std::size_t partition, std::int64_t epoch);
  // Up to `count` entries that this lease was given already, after `after`; null: new ones.
  asio::awaitable<Batch> read(std::size_t partition, std::int64_t epoch, std::size_t count,
                              std::optional<EntryId> after);
  asio::awaitable<bool> acknowledge(std::size_t partition, std::span<const EntryId> ids);
  // The newest entry of the partition.
  asio::awaitable<std::optional<EntryId>> newest(std::size_t partition);
  // Waits until one of the partitions has an entry after its position, for a moment at most. On a connection of its
  // own.
  asio::awaitable<void> wait(std::span<const Watched> watched);

 private:
  State state_of(const redis::Result& result);

  EventPartitions partitions_;
  redis::Client waiter_;
  redis::Script take_;
  redis::Script read_;
  std::string group_;
  asio::any_io_executor executor_;
  log::Throttle complaints_;
};

}  // namespace sealcast::events
