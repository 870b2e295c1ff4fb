// Where a new transport is registered.
#include "delivery/registry.h"

#include <algorithm>
#include <string>

#include "transport/ably/ably.h"
#include "transport/mqtt/mqtt.h"
#include "transport/redis_streams/redis_events.h"
#include "transport/redis_streams/redis_streams.h"
#include "transport/supabase/supabase.h"

namespace sealcast {
namespace {

// Answers null when the settings leave it off.
using Make = std::unique_ptr<Adapter> (*)(asio::any_io_executor executor, const Settings& settings);

struct Entry {
  std::string_view name;
  Make make;
};
constexpr Entry kTransports[] = {
    {"redis_streams", make_redis_streams},
    {"redis_events", make_redis_events},
    {"mqtt", make_mqtt},
    {"supabase", make_supabase},
    {"ably", make_ably},
};

void check_names(std::string_view setting, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name == "sse" || std::ranges::find(kTransports, name, &Entry::name) != std::end(kTransports)) continue;
    std::string known = "sse";
    for (const Entry& entry : kTransports) known.append(", ").append(entry.name);
    throw SettingsError(std::string(setting) + " has \"" + name + "\", which is no transport; write any of " + known);
  }
}

}  // namespace

void check_transports(const Settings& settings) {
  check_names("delivery.standard", settings.delivery.standard);
  check_names("delivery.hybrid", settings.delivery.hybrid);
  check_names("delivery.hot", settings.delivery.hot);
}

std::vector<std::unique_ptr<Adapter>> make_adapters(asio::any_io_executor executor, const Settings& settings) {
  std::vector<std::unique_ptr<Adapter>> adapters;
  for (const Entry& entry : kTransports) {
    if (auto adapter = entry.make(executor, settings)) adapters.push_back(std::move(adapter));
  }
  return adapters;
}

}  // namespace sealcast
