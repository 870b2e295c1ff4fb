// Publishes frames to Ably over REST. One request carries as many frames of one stream as the limits allow.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::ably {

// Returns null when ably.key_file is empty. Throws SettingsError when the file cannot be read or contains no API key.
std::unique_ptr<outside::Adapter> make_ably(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::ably
