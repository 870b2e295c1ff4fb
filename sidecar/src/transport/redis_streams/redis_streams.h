// The transport `redis_streams`: each chat stream is a Redis stream (https://redis.io/docs/latest/commands/xadd/),
// whose entries have the fields `offset`, `prev` and `frame` (the frame's JSON, as on every transport). Entry ids are
// Redis' own, by time, so that entries are trimmed by age (MINID).
//
// A publish that was carried out without an answer adds nothing when it is repeated: the script that adds looks at the
// newest entry's offset first.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::redis_streams {

// Null when redis_streams.url is empty.
std::unique_ptr<outside::Adapter> make_redis_streams(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::redis_streams
