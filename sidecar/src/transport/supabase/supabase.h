// Publishes frames to Supabase Realtime, in order. Each frame is one broadcast over REST.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::supabase {

// Returns null when supabase.url is empty. Throws SettingsError when the key file cannot be read or does not contain
// one line with a key.
std::unique_ptr<outside::Adapter> make_supabase(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::supabase
