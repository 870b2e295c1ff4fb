// The registry of the transports to outside services (docs/transports.md).
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

// Throws SettingsError if the settings name an unknown transport, or if switching could not use its target transport or
// its home transport.
void check_transports(const config::Settings& settings);

// Make the adapters and the token makers of all transports that the settings turn on.
std::vector<transport::outside::RegisteredAdapter> make_adapters(asio::any_io_executor executor,
                                                                 const config::Settings& settings);
transport::TokenMakers make_token_makers(const config::Settings& settings);

// Returns null unless the settings turn on Ably, the only outside service that can revoke tokens.
std::unique_ptr<transport::TokenRevoker> make_token_revoker(asio::any_io_executor executor,
                                                            const config::Settings& settings);

// Returns the place of a stream's public channel in the outside service of `transport`: an MQTT topic, a Supabase topic
// or an Ably channel. Returns an empty string for other transports.
std::string channel_of(const config::Settings& settings, std::string_view transport, std::string_view stream_id);

// Returns how many readers per second switching may move to the transport. 0: there is no limit.
std::int32_t readers_per_second(const config::Settings& settings, std::string_view transport);

}  // namespace sealcast::app
