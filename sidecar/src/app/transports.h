// The transports to services outside: a line for each (docs/transports.md).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/frame.h"
#include "transport/outside/adapter.h"
#include "transport/tokens.h"

namespace sealcast::app {

// Throws SettingsError when the settings name a transport that there is not, or move readers to one that is not there.
void check_transports(const config::Settings& settings);

// Those that the settings turn on.
std::vector<transport::outside::RegisteredAdapter> make_adapters(asio::any_io_executor executor,
                                                                 const config::Settings& settings);
transport::TokenMakers make_token_makers(const config::Settings& settings);

// What the transport calls a stream's public channel; empty where it has no such name.
std::string channel_of(const config::Settings& settings, std::string_view transport, std::string_view stream_id);

}  // namespace sealcast::app
