// Supabase Realtime as a transport: one broadcast over REST for each frame, in order.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport::supabase {

// Null while supabase.url is empty. Throws SettingsError when the key cannot be read or is none.
std::unique_ptr<outside::Adapter> make_supabase(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::transport::supabase
