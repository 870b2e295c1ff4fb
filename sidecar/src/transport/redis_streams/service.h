// Code for a Redis that is an outside service: the options of a connection, and the outcome of a Redis command. The
// transports to Redis share it with the workers.
#pragma once

#include <chrono>
#include <string_view>

#include "client/redis/client.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::redis_streams {

// Throws SettingsError when the password file cannot be read. `section` is the section of the settings, for the text of
// the error. `timeout` becomes Options::timeout.
redis::Options service_options(std::string_view section, const config::Settings::RedisService& settings,
                               std::chrono::milliseconds timeout);

// Returns the outcome without `delivered`. Kind::done means that Redis has accepted all frames.
outside::Outcome outcome_of(const redis::Result& result);

}  // namespace sealcast::transport::redis_streams
