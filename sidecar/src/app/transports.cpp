// Where a new transport is registered.
#include "app/transports.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <tuple>
#include <utility>

#include "events/redis_events.h"
#include "transport/ably/ably.h"
#include "transport/ably/token.h"
#include "transport/mqtt/mqtt.h"
#include "transport/mqtt/token.h"
#include "transport/redis_streams/redis_streams.h"
#include "transport/supabase/supabase.h"

namespace sealcast::app {
namespace {

// Both answer null when the settings leave it off.
using Make = std::unique_ptr<transport::outside::Adapter> (*)(asio::any_io_executor executor,
                                                              const config::Settings& settings);
using MakeTokens = std::unique_ptr<transport::TokenMaker> (*)(const config::Settings& settings);
using Text = const std::string& (*)(const config::Settings& settings);

using S = config::Settings;
template <auto Service, auto Member>
const std::string& setting(const config::Settings& settings) {
  return settings.*Service.*Member;
}

// The same service once more, for the channel of all messages: where `vip` says its place, as `place` does for the
// public one.
template <auto Service, auto Place, auto VipPlace, auto Adapter>
std::unique_ptr<transport::outside::Adapter> make_vip(asio::any_io_executor executor,
                                                      const config::Settings& settings) {
  if ((settings.*Service.*VipPlace).empty()) return nullptr;
  config::Settings vip = settings;
  vip.*Service.*Place = settings.*Service.*VipPlace;
  vip.mqtt.client_id += "-vip";
  return Adapter(std::move(executor), vip);
}

struct Entry {
  std::string_view name;
  transport::Channel channel;
  Make make;
  // Where readers can be moved to: the setting that turns it on, and the one that names a stream's channel there.
  Text on = nullptr;
  Text place = nullptr;
  MakeTokens make_tokens = nullptr;  // of both channels
};
constexpr Entry kTransports[] = {
    {"redis_streams", transport::Channel::all_messages, transport::redis_streams::make_redis_streams},
    {"redis_events", transport::Channel::all_messages, events::make_redis_events},
    {"mqtt", transport::Channel::everyone, transport::mqtt::make_mqtt, setting<&S::mqtt, &S::Mqtt::url>,
     setting<&S::mqtt, &S::Mqtt::topic>, transport::mqtt::make_mqtt_tokens},
    {"mqtt_vip", transport::Channel::all_messages,
     make_vip<&S::mqtt, &S::Mqtt::topic, &S::Mqtt::vip_topic, transport::mqtt::make_mqtt>},
    {"supabase", transport::Channel::everyone, transport::supabase::make_supabase,
     setting<&S::supabase, &S::Supabase::url>, setting<&S::supabase, &S::Supabase::topic>},
    {"supabase_vip", transport::Channel::all_messages,
     make_vip<&S::supabase, &S::Supabase::topic, &S::Supabase::vip_topic, transport::supabase::make_supabase>},
    {"ably", transport::Channel::everyone, transport::ably::make_ably, setting<&S::ably, &S::Ably::key_file>,
     setting<&S::ably, &S::Ably::channel>, transport::ably::make_ably_tokens},
    {"ably_vip", transport::Channel::all_messages,
     make_vip<&S::ably, &S::Ably::channel, &S::Ably::vip_channel, transport::ably::make_ably>},
};

const Entry* find(std::string_view name) {
  const auto found = std::ranges::find(kTransports, name, &Entry::name);
  return found == std::end(kTransports) ? nullptr : found;
}

void check_names(std::string_view setting, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name == "sse" || find(name) != nullptr) continue;
    std::string known = "sse";
    for (const Entry& entry : kTransports) known.append(", ").append(entry.name);
    throw core::SettingsError(std::string(setting) + " has \"" + name + "\", which is no transport; write any of " +
                              known);
  }
}

// A transport that readers are moved to or back from, and the lists of the modes in which it must carry them.
void check_place(std::string_view key, const std::string& name, const config::Settings& settings,
                 std::initializer_list<std::pair<std::string_view, const std::vector<std::string>&>> lists) {
  if (name == "sse") return;
  const std::string place = "switching." + std::string(key) + " is \"" + name + "\", ";
  const Entry* entry = find(name);
  if (entry == nullptr || entry->on == nullptr) {
    throw core::SettingsError(place + "where no readers are; write sse, mqtt, supabase or ably");
  }
  if (entry->on(settings).empty()) {
    throw core::SettingsError(place + "which is off; turn it on in [" + name + "]");
  }
  for (const auto& [mode, names] : lists) {
    if (names.empty() || std::ranges::find(names, name) != names.end()) continue;
    throw core::SettingsError(place + "which delivery." + std::string(mode) + " does not have; add it there");
  }
}

}  // namespace

void check_transports(const config::Settings& settings) {
  check_names("delivery.standard", settings.delivery.standard);
  check_names("delivery.hybrid", settings.delivery.hybrid);
  check_names("delivery.hot", settings.delivery.hot);
  const auto& [standard, hybrid, hot] =
      std::tie(settings.delivery.standard, settings.delivery.hybrid, settings.delivery.hot);
  const auto& switching = settings.switching;
  if (switching.target.empty()) return;
  if (switching.target == switching.home) {
    throw core::SettingsError("switching.target is where readers are anyway (switching.home); name another transport");
  }
  check_place("target", switching.target, settings, {{"hybrid", hybrid}, {"hot", hot}});
  check_place("home", switching.home, settings, {{"standard", standard}, {"hybrid", hybrid}});
}

std::string channel_of(const config::Settings& settings, std::string_view transport, std::string_view stream_id) {
  const Entry* entry = find(transport);
  if (entry == nullptr || entry->place == nullptr) return {};
  return transport::outside::expand_template(entry->place(settings), stream_id);
}

std::vector<transport::outside::RegisteredAdapter> make_adapters(asio::any_io_executor executor,
                                                                 const config::Settings& settings) {
  std::vector<transport::outside::RegisteredAdapter> adapters;
  for (const Entry& entry : kTransports) {
    if (auto adapter = entry.make(executor, settings)) {
      adapters.push_back({entry.name, entry.channel, std::move(adapter)});
    }
  }
  return adapters;
}

transport::TokenMakers make_token_makers(const config::Settings& settings) {
  transport::TokenMakers makers;
  for (const Entry& entry : kTransports) {
    auto maker = entry.make_tokens == nullptr ? nullptr : entry.make_tokens(settings);
    if (maker) makers.emplace(entry.name, std::move(maker));
  }
  return makers;
}

}  // namespace sealcast::app
