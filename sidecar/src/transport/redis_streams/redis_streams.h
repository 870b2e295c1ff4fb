// The transport `redis_streams`. Each stream of Sealcast has its own Redis stream
// (https://redis.io/docs/latest/commands/xadd/). The entries have the fields `offset`, `prev` and `frame` (the JSON of
// the frame, as on every transport). Redis makes the id of an entry from the time, so Redis can remove entries by age
// (MINID).
//
// A publish is repeated, for example, when its answer was lost. The repeat adds no frame whose offset is among the
// newest 1000 entries.
//
// After the announcement of a redaction, no entry holds the content of the redacted message.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::redis_streams {

// Returns null when redis_streams.url is empty. Throws SettingsError when the password file cannot be read.
std::unique_ptr<outside::Adapter> make_redis_streams(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::redis_streams
