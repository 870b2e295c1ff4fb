// The event partitions in Redis: all messages, by sender, in a few Redis streams `sealcast:events:{n}`.
//
// All messages of a sender to one stream are in one partition, in order. An entry has the fields `stream_id`, `offset`
// and `frame` (the JSON of the frame, as on every transport). A message may be there twice.
//
// The id of the newest entry of each partition is remembered. A partition whose newest entry is older has lost entries:
// then nothing more is added (`has_lost_entries()`) until the loss is handled and expect() is called.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "client/redis/client.h"
#include "client/redis/script.h"
#include "config/settings.h"
#include "events/replies.h"
#include "transport/outside/adapter.h"

namespace sealcast::events {

// The partition of a sender, from 0: FNV-1a (64 bits, http://www.isthe.com/chongo/tech/comp/fnv/) of the lower-case
// UUID, modulo the number of partitions.
std::size_t partition_of(std::string_view sender_id, std::size_t partitions);

class EventPartitions {
 public:
  EventPartitions(const asio::any_io_executor& executor, const config::Settings::RedisEvents& settings,
                  redis::Options options);

  void start() { client_.start(); }
  void stop() { client_.stop(); }
  redis::Client& client() { return client_; }
  std::size_t count() const { return keys_.size(); }
  const std::string& key(std::size_t partition) const { return keys_[partition]; }

  // Adds the frames, in order within each partition.
  asio::awaitable<transport::outside::Outcome> add(std::span<const transport::FramePtr> frames,
                                                   redis::Clock::time_point deadline);

  // Creates the consumer groups that are missing. A new group begins with the oldest entry. Then removes each entry
  // that all groups have finished. If there is no group, removes each entry that is older than `max_age`. Returns the
  // progress of the groups, or an empty vector after a failure.
  asio::awaitable<std::vector<GroupProgress>> trim(std::size_t partition, std::span<const std::string> groups,
                                                   std::chrono::milliseconds max_age);

  // Memory that Redis uses, in percent of maxmemory. 0: maxmemory is not set or not known.
  asio::awaitable<int> memory_percent();

  bool has_lost_entries() const { return has_lost_entries_; }
  const std::vector<EntryId>& newest() const { return newest_; }
  // From now on each partition must have at least this entry.
  void expect(std::vector<EntryId> newest);

 private:
  struct Addition;
  asio::awaitable<void> add_to(std::size_t partition, const std::vector<transport::FramePtr>& frames,
                               redis::Clock::time_point deadline, Addition& addition);

  asio::any_io_executor executor_;
  redis::Client client_;
  redis::Script add_;
  redis::Script trim_;
  std::vector<std::string> keys_;
  std::vector<EntryId> newest_;
  bool has_lost_entries_ = false;
};

}  // namespace sealcast::events
