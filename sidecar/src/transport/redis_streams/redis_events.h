// The transport `redis_events`, for workers: all messages in a few Redis streams, the partitions `sealcast:events:{n}`,
// by sender, so that a consumer group reads what a user sends to a stream in order. The entries have the fields
// `stream_id`, `offset` and `frame` (the frame's JSON, as on every transport). A message may be there twice.
//
// Partitions are trimmed below what every consumer group has finished (https://redis.io/docs/latest/commands/xtrim/,
// MINID): what a group has not read, or not acknowledged, stays. Without any group they are trimmed by age.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "config/settings.h"
#include "delivery/adapter.h"

namespace sealcast {

// Null when redis_events.url is empty.
std::unique_ptr<Adapter> make_redis_events(asio::any_io_executor executor, const Settings& settings);

// The partition of a sender, from 0: FNV-1a (64 bits, http://www.isthe.com/chongo/tech/comp/fnv/) of the lower-case
// UUID.
std::size_t partition_of(std::string_view sender_id, std::size_t partitions);

}  // namespace sealcast
