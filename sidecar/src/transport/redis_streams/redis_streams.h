// The transport `redis_streams`: each chat stream is a Redis stream (https://redis.io/docs/latest/commands/xadd/). Its
// entries have the fields `offset`, `prev` and `frame` (the frame's JSON, as on every transport). Redis gives entries
// ids by time, so that entries can be trimmed by age (MINID).
//
// A repeated publish adds nothing, because the script first compares the offsets with the newest entry. A publish is
// repeated, for example, when its answer was lost.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::redis_streams {

// Returns null when redis_streams.url is empty.
std::unique_ptr<outside::Adapter> make_redis_streams(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::redis_streams
