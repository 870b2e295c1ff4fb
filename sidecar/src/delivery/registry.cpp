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

// The same service once more, for the channel of all messages: where `vip` says its place, as `place` does for the
// public one.
template <auto Service, auto Place, auto VipPlace, auto Adapter>
std::unique_ptr<sealcast::Adapter> make_vip(asio::any_io_executor executor, const Settings& settings) {
  if ((settings.*Service.*VipPlace).empty()) return nullptr;
  Settings vip = settings;
  vip.*Service.*Place = settings.*Service.*VipPlace;
  vip.mqtt.client_id += "-vip";
  return Adapter(std::move(executor), vip);
}
using S = Settings;

struct Entry {
  std::string_view name;
  Channel channel;
  Make make;
};
constexpr Entry kTransports[] = {
    {"redis_streams", Channel::all_messages, make_redis_streams},
    {"redis_events", Channel::all_messages, make_redis_events},
    {"mqtt", Channel::everyone, make_mqtt},
    {"mqtt_vip", Channel::all_messages, make_vip<&S::mqtt, &S::Mqtt::topic, &S::Mqtt::vip_topic, make_mqtt>},
    {"supabase", Channel::everyone, make_supabase},
    {"supabase_vip", Channel::all_messages,
     make_vip<&S::supabase, &S::Supabase::topic, &S::Supabase::vip_topic, make_supabase>},
    {"ably", Channel::everyone, make_ably},
    {"ably_vip", Channel::all_messages, make_vip<&S::ably, &S::Ably::channel, &S::Ably::vip_channel, make_ably>},
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

std::vector<RegisteredAdapter> make_adapters(asio::any_io_executor executor, const Settings& settings) {
  std::vector<RegisteredAdapter> adapters;
  for (const Entry& entry : kTransports) {
    if (auto adapter = entry.make(executor, settings)) {
      adapters.push_back({entry.name, entry.channel, std::move(adapter)});
    }
  }
  return adapters;
}

}  // namespace sealcast
