// The transport `redis_events`, for workers: all messages in the partitions of the event plane (event_partitions.h),
// for consumer groups. A message may be there twice.
//
// It sees to the partitions too. The consumer groups of registered handlers (sealcast.event_groups) are there before
// anything is trimmed; partitions are trimmed below what every group has finished
// (https://redis.io/docs/latest/commands/xtrim/, MINID), without any group by age. Nothing is added while Redis' memory
// is nearly full, or while Postgres cannot be asked what was added before.
//
// When Redis has lost entries, the transport goes back to what the slowest group had finished (sealcast.rewind_events):
// that and all that follows is carried again, in order, before anything newer.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::events {

// Null when redis_events.url is empty.
std::unique_ptr<transport::outside::Adapter> make_redis_events(asio::any_io_executor executor,
                                                               const config::Settings& settings);

}  // namespace sealcast::events
