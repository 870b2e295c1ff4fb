// What the transports to Redis share: how they connect, and what its errors mean for a delivery.
#pragma once

#include <chrono>
#include <string_view>

#include "client/redis/client.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::redis_streams {

// `section` of the settings names what is wrong with the password file.
redis::Options service_options(std::string_view section, const config::Settings::RedisService& settings,
                               std::chrono::milliseconds timeout);

outside::Outcome outcome_of(const redis::Result& result);

}  // namespace sealcast::transport::redis_streams
