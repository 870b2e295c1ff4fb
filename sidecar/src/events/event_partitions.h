// The partitions of the event plane: all messages in a few Redis streams, `sealcast:events:{n}`, by sender, so that a
// consumer group reads what a user sends to a stream in order. The entries have the fields `stream_id`, `offset` and
// `frame` (the frame's JSON, as on every transport). A message may be there twice.
//
// What was added last is remembered: a Redis that is behind it has lost something, and nothing more is added to it
// (`lost`) until somebody has seen to it and says so by expect().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "client/redis/client.h"
#include "client/redis/script.h"
#include "config/settings.h"
#include "events/entry_id.h"
#include "events/upkeep.h"
#include "transport/outside/adapter.h"

namespace sealcast::events {

// The partition of a sender, from 0: FNV-1a (64 bits, http://www.isthe.com/chongo/tech/comp/fnv/) of the lower-case
// UUID.
std::size_t partition_of(std::string_view sender_id, std::size_t partitions);

class EventPartitions {
 public:
  EventPartitions(const asio::any_io_executor& executor, const config::Settings::RedisEvents& settings,
                  redis::Options options);

  redis::Client& client() { return client_; }
  std::size_t count() const { return keys_.size(); }
  const std::string& key(std::size_t partition) const { return keys_[partition]; }

  // Adds the frames, in order in each partition.
  asio::awaitable<transport::outside::Outcome> add(std::span<const transport::FramePtr> frames,
                                                   redis::Clock::time_point deadline);

  // Makes the groups that are not there yet, which then begin with the oldest entry; trims below what every group has
  // finished, or, without any group, by age. Nothing when it could not.
  asio::awaitable<std::vector<GroupLag>> upkeep(std::size_t partition, std::span<const std::string> groups,
                                                std::chrono::milliseconds max_age);

  // Percent of maxmemory that Redis uses; 0: it has no bound, or does not say.
  asio::awaitable<int> memory_percent();

  bool lost() const { return lost_; }
  const std::vector<EntryId>& newest() const { return newest_; }
  // From now on partitions hold at least these entries.
  void expect(std::vector<EntryId> newest);

 private:
  struct Round;
  asio::awaitable<void> add_to(std::size_t partition, const std::vector<transport::FramePtr>& frames,
                               redis::Clock::time_point deadline, Round& round);

  asio::any_io_executor executor_;
  redis::Client client_;
  redis::Script add_;
  redis::Script upkeep_;
  std::vector<std::string> keys_;
  std::vector<EntryId> newest_;
  bool lost_ = false;
};

}  // namespace sealcast::events
