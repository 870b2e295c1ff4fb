// The transports to services outside: a line for each (docs/transports.md).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <vector>

#include "config/settings.h"
#include "delivery/adapter.h"

namespace sealcast {

// Throws SettingsError when the settings name a transport that there is not.
void check_transports(const Settings& settings);

// Those that the settings turn on.
std::vector<std::unique_ptr<Adapter>> make_adapters(asio::any_io_executor executor, const Settings& settings);

}  // namespace sealcast
