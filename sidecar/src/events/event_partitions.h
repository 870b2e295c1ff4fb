// The event partitions in Redis: a few Redis streams `sealcast:events:{n}` that together carry all messages.
//
// The sender of a message selects its partition. A partition contains the messages of a sender to one stream in order.
// An entry has the fields `stream_id`, `offset` and `frame` (the JSON of the frame, as on every transport). A partition
// may contain a message twice.
//
// The class remembers the id of the newest entry of each partition. When Redis has only older entries in a partition,
// the partition has lost entries. From then on add() and trim() fail for this partition, and has_lost_entries() returns
// true. The caller must handle the loss and then call expect().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/log.h"
#include "client/postgres/connection.h"
#include "client/redis/client.h"
#include "client/redis/script.h"
#include "config/settings.h"
#include "events/replies.h"
#include "transport/outside/adapter.h"
#include "transport/redis_streams/redacted_entries.h"

namespace sealcast::events {

// Returns the number of the partition of a sender, from 0: the FNV-1a hash (64 bits,
// http://www.isthe.com/chongo/tech/comp/fnv/) of `sender_id`, modulo `partitions`. `sender_id` is a UUID as text in
// lower case.
std::size_t partition_of(std::string_view sender_id, std::size_t partitions);

// Logs that the setting redis_events.partitions is not the number of partitions, which is `count`.
void warn_of_other_setting(std::size_t setting, std::size_t count);

// Returns the consumer groups that have handlers (sealcast_internal.event_groups). Throws postgres::Error.
asio::awaitable<std::vector<std::string>> registered_groups(postgres::Connection& connection);

class EventPartitions {
 public:
  EventPartitions(const asio::any_io_executor& executor, const config::Settings::RedisEvents& settings,
                  redis::Options options);

  void start() { client_.start(); }
  void stop() { client_.stop(); }
  redis::Client& client() { return client_; }
  // The number of partitions belongs to Postgres (sealcast_internal.event_partition_count). It is 0 until set_count().
  std::size_t count() const { return count_; }
  void set_count(std::size_t count);
  const std::string& key(std::size_t partition) const { return keys_[partition]; }

  // Adds the frames, except those whose message is gone. The frames of one partition stay in order. When a frame
  // announces a redaction, the earlier entries of the redacted messages are replaced by new ones without content.
  asio::awaitable<transport::outside::Outcome> add(std::span<const transport::FramePtr> frames,
                                                   redis::Clock::time_point deadline);

  // Creates the consumer groups that are missing. A new group begins with the oldest entry. Then removes entries that
  // all groups have finished. If the partition has no group, removes entries that are older than `max_age`. Redis
  // removes entries in blocks, so some of them may remain until a later call. Returns the progress of the groups, or
  // nullopt after a failure.
  asio::awaitable<std::optional<std::vector<GroupProgress>>> trim(std::size_t partition,
                                                                  std::span<const std::string> groups,
                                                                  std::chrono::milliseconds max_age);

  // Returns the memory that Redis uses, in percent of its setting maxmemory. Returns 0 when maxmemory is not set, or
  // when Redis does not answer.
  asio::awaitable<int> memory_percent();

  bool has_lost_entries() const { return has_lost_entries_; }
  const std::vector<EntryId>& newest() const { return newest_; }
  // Sets the id of the newest entry that each partition must have, and forgets the earlier loss. An id of 0-0 expects
  // nothing.
  void expect(std::vector<EntryId> newest);
  // Raises the ids that the partitions must have to those in `newest`, which another sidecar knows.
  void merge(std::span<const EntryId> newest);

 private:
  struct Addition;
  asio::awaitable<transport::outside::Outcome> add_all(std::span<const transport::FramePtr> frames,
                                                       redis::Clock::time_point deadline);
  asio::awaitable<void> add_to(std::size_t partition, const std::vector<transport::FramePtr>& frames,
                               redis::Clock::time_point deadline, Addition& addition);
  void log_refusal(const redis::Result& result);

  asio::any_io_executor executor_;
  redis::Client client_;
  redis::Script add_;
  redis::Script trim_;
  transport::redis_streams::RedactedEntries redacted_{transport::redis_streams::RedactedEntries::Action::replace};
  std::string key_template_;
  std::size_t count_ = 0;
  // These never shrink, because calls that are in progress use them. A deque keeps its elements in place.
  std::deque<std::string> keys_;
  std::vector<EntryId> newest_;
  bool has_lost_entries_ = false;
  log::Throttle log_throttle_;
};

}  // namespace sealcast::events
