// Ably as a transport: the frames of a stream over REST, as many in one request as its limits allow.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::ably {

// Null while ably.key_file is empty. Throws SettingsError when the key cannot be read or is none.
std::unique_ptr<outside::Adapter> make_ably(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::ably
