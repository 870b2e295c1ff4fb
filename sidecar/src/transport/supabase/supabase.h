// Publishes frames to Supabase Realtime: one broadcast over REST per frame, in order.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::supabase {

// Returns null when supabase.url is empty. Throws SettingsError when the key cannot be read or is not a key.
std::unique_ptr<outside::Adapter> make_supabase(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::supabase
