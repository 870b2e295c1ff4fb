// The transport `redis_events`: adds all messages to the event partitions, for workers. A partition may contain a
// message twice.
//
// The transport also maintains the partitions:
// - It creates the consumer groups of registered handlers (sealcast_internal.event_groups) before it trims entries.
// - It trims entries that every group has finished (https://redis.io/docs/latest/commands/xtrim/, MINID). It
//   trims entries by age in a partition that has no group.
// - It adds no messages while the memory of Redis is nearly full, and none until it has read from Postgres which newest
//   entries were recorded.
// - When Redis has lost entries, the transport goes back to the time up to which the slowest group had finished all
//   messages (sealcast_internal.rewind_events). It carries all messages since that time again, in order, before newer
//   messages.
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
