// Code that the transports to Redis share: connection options, and the outcome of a Redis command.
#pragma once

#include <chrono>
#include <string_view>

#include "client/redis/client.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::redis_streams {

// `section` is named in the SettingsError when the password file cannot be read.
redis::Options service_options(std::string_view section, const config::Settings::RedisService& settings,
                               std::chrono::milliseconds timeout);

outside::Outcome outcome_of(const redis::Result& result);

}  // namespace sealcast::transport::redis_streams
