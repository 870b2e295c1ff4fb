// The transport `redis_events`: adds all messages to the event partitions, for workers. A message may be there twice.
//
// The transport also maintains the partitions:
// - The consumer groups of registered handlers (sealcast.event_groups) are created before entries are trimmed.
// - Entries that every group has finished are trimmed (https://redis.io/docs/latest/commands/xtrim/, MINID). Without
// any
//   group, entries are trimmed by age.
// - Nothing is added while the memory of Redis is nearly full, or while Postgres cannot return the newest entries that
//   were recorded.
// - When Redis has lost entries, the transport goes back to what the slowest group had finished
//   (sealcast.rewind_events). These and all later messages are carried again, in order, before newer ones.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::events {

// Returns null when redis_events.url is empty.
std::unique_ptr<transport::outside::Adapter> make_redis_events(asio::any_io_executor executor,
                                                               const config::Settings& settings);

}  // namespace sealcast::events
