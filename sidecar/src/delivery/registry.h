// The transports to services outside: a line for each (docs/transports.md).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "delivery/adapter.h"
#include "transport/tokens.h"
#include "transport/transport.h"

namespace sealcast {

// Throws SettingsError when the settings name a transport that there is not, or move readers to one that is not there.
void check_transports(const Settings& settings);

struct RegisteredAdapter {
  std::string_view name;  // as in settings, deliveries and metrics
  Channel channel;
  std::unique_ptr<Adapter> adapter;
};

// Those that the settings turn on.
std::vector<RegisteredAdapter> make_adapters(asio::any_io_executor executor, const Settings& settings);
TokenMakers make_token_makers(const Settings& settings);

// What the transport calls a stream's public channel; empty where it has no such name.
std::string channel_of(const Settings& settings, std::string_view transport, std::string_view stream_id);

}  // namespace sealcast
