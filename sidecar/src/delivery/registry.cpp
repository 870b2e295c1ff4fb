// Where a new transport is registered.
#include "delivery/registry.h"

#include "transport/ably/ably.h"
#include "transport/mqtt/mqtt.h"
#include "transport/redis_streams/redis_events.h"
#include "transport/redis_streams/redis_streams.h"
#include "transport/supabase/supabase.h"

namespace sealcast {
namespace {

// Answers null when the settings leave it off.
using Make = std::unique_ptr<Adapter> (*)(asio::any_io_executor executor, const Settings& settings);

constexpr Make kTransports[] = {
    make_redis_streams,
    make_redis_events,
    make_mqtt,
    make_supabase,
    make_ably,
};

}  // namespace

std::vector<std::unique_ptr<Adapter>> make_adapters(asio::any_io_executor executor, const Settings& settings) {
  std::vector<std::unique_ptr<Adapter>> adapters;
  for (const Make make : kTransports) {
    if (auto adapter = make(executor, settings)) adapters.push_back(std::move(adapter));
  }
  return adapters;
}

}  // namespace sealcast
