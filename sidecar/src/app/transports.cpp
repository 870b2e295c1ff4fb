// Registers the transports to outside services. To add a transport, add a row to kTransports.
#include "app/transports.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <tuple>
#include <utility>

#include "events/redis_events.h"
#include "transport/ably/ably.h"
#include "transport/ably/revocation.h"
#include "transport/ably/token.h"
#include "transport/mqtt/mqtt.h"
#include "transport/mqtt/token.h"
#include "transport/redis_streams/redis_streams.h"
#include "transport/supabase/supabase.h"

namespace sealcast::app {
namespace {

// Make returns null if the settings turn the transport off. MakeTokens returns null if the settings do not contain the
// secret or key that signs the transport's reader tokens.
using Make = std::unique_ptr<transport::outside::Adapter> (*)(asio::any_io_executor executor,
                                                              const config::Settings& settings);
using MakeTokens = std::unique_ptr<transport::TokenMaker> (*)(const config::Settings& settings);
using Text = const std::string& (*)(const config::Settings& settings);
using Rate = std::int32_t config::Settings::ReadersPerSecond::*;

using S = config::Settings;
template <auto Service, auto Member>
const std::string& setting(const config::Settings& settings) {
  return settings.*Service.*Member;
}

// Makes the adapter that publishes the vip channel to an outside service. It gets a copy of the settings in which the
// setting `VipPlace` (for example mqtt.vip_topic) replaces the setting `Place` (mqtt.topic).
template <auto Service, auto Place, auto VipPlace, auto Adapter>
std::unique_ptr<transport::outside::Adapter> make_vip(asio::any_io_executor executor,
                                                      const config::Settings& settings) {
  if ((settings.*Service.*VipPlace).empty()) return nullptr;
  config::Settings vip = settings;
  vip.*Service.*Place = settings.*Service.*VipPlace;
  vip.mqtt.client_id += "-vip";
  return Adapter(std::move(executor), vip);
}

struct Registration {
  std::string_view name;
  transport::Channel channel;
  Make make;
  // Only the transports to which switching can move readers have values for the members below.
  Text on = nullptr;     // the setting that turns the transport on
  Text place = nullptr;  // the setting that names a stream's place in the service
  Rate readers_per_second = nullptr;
  MakeTokens make_tokens = nullptr;  // makes reader tokens for both channels
};
constexpr Registration kTransports[] = {
    {"redis_streams", transport::Channel::all_messages, transport::redis_streams::make_redis_streams},
    {"redis_events", transport::Channel::all_messages, events::make_redis_events},
    {"mqtt", transport::Channel::everyone, transport::mqtt::make_mqtt, setting<&S::mqtt, &S::Mqtt::url>,
     setting<&S::mqtt, &S::Mqtt::topic>, &S::ReadersPerSecond::mqtt, transport::mqtt::make_mqtt_tokens},
    {"mqtt_vip", transport::Channel::all_messages,
     make_vip<&S::mqtt, &S::Mqtt::topic, &S::Mqtt::vip_topic, transport::mqtt::make_mqtt>},
    {"supabase", transport::Channel::everyone, transport::supabase::make_supabase,
     setting<&S::supabase, &S::Supabase::url>, setting<&S::supabase, &S::Supabase::topic>,
     &S::ReadersPerSecond::supabase},
    {"supabase_vip", transport::Channel::all_messages,
     make_vip<&S::supabase, &S::Supabase::topic, &S::Supabase::vip_topic, transport::supabase::make_supabase>},
    {"ably", transport::Channel::everyone, transport::ably::make_ably, setting<&S::ably, &S::Ably::key_file>,
     setting<&S::ably, &S::Ably::channel>, &S::ReadersPerSecond::ably, transport::ably::make_ably_tokens},
    {"ably_vip", transport::Channel::all_messages,
     make_vip<&S::ably, &S::Ably::channel, &S::Ably::vip_channel, transport::ably::make_ably>},
};

const Registration* find(std::string_view name) {
  const auto found = std::ranges::find(kTransports, name, &Registration::name);
  return found == std::end(kTransports) ? nullptr : found;
}

void check_names(std::string_view setting, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name == "sse" || find(name) != nullptr) continue;
    std::string known = "sse";
    for (const Registration& registration : kTransports) known.append(", ").append(registration.name);
    throw core::SettingsError(std::string(setting) + " contains \"" + name +
                              "\", which is not a transport; write names of " + known);
  }
}

// Throws SettingsError if switching cannot use the transport `name`, the value of the setting switching.`key`. `lists`
// has the settings of the delivery modes in which this transport must carry streams. An empty setting means all
// transports.
void check_place(std::string_view key, const std::string& name, const config::Settings& settings,
                 std::initializer_list<std::pair<std::string_view, const std::vector<std::string>&>> lists) {
  if (name == "sse") return;
  const std::string place = "switching." + std::string(key) + " is \"" + name + "\", ";
  const Registration* registration = find(name);
  if (registration == nullptr || registration->on == nullptr) {
    throw core::SettingsError(place + "a transport that readers cannot use; write sse, mqtt, supabase or ably");
  }
  if (registration->on(settings).empty()) {
    throw core::SettingsError(place + "which is off; turn it on in the section [" + name + "]");
  }
  for (const auto& [mode, names] : lists) {
    if (names.empty() || std::ranges::find(names, name) != names.end()) continue;
    throw core::SettingsError(place + "which is not in delivery." + std::string(mode) + "; add it there");
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
    throw core::SettingsError("switching.target is the same transport as switching.home; write another transport");
  }
  check_place("target", switching.target, settings, {{"hybrid", hybrid}, {"hot", hot}});
  check_place("home", switching.home, settings, {{"standard", standard}, {"hybrid", hybrid}});
}

std::string channel_of(const config::Settings& settings, std::string_view transport, std::string_view stream_id) {
  const Registration* registration = find(transport);
  if (registration == nullptr || registration->place == nullptr) return {};
  return transport::outside::expand_template(registration->place(settings), stream_id);
}

std::int32_t readers_per_second(const config::Settings& settings, std::string_view transport) {
  if (transport == "sse") return settings.readers_per_second.sse;
  const Registration* registration = find(transport);
  if (registration == nullptr || registration->readers_per_second == nullptr) return 0;
  return settings.readers_per_second.*registration->readers_per_second;
}

std::vector<transport::outside::RegisteredAdapter> make_adapters(asio::any_io_executor executor,
                                                                 const config::Settings& settings) {
  std::vector<transport::outside::RegisteredAdapter> adapters;
  for (const Registration& registration : kTransports) {
    if (auto adapter = registration.make(executor, settings)) {
      adapters.push_back({registration.name, registration.channel, std::move(adapter)});
    }
  }
  return adapters;
}

transport::TokenMakers make_token_makers(const config::Settings& settings) {
  transport::TokenMakers makers;
  for (const Registration& registration : kTransports) {
    auto maker = registration.make_tokens == nullptr ? nullptr : registration.make_tokens(settings);
    if (maker) makers.emplace(registration.name, std::move(maker));
  }
  return makers;
}

std::unique_ptr<transport::TokenRevoker> make_token_revoker(asio::any_io_executor executor,
                                                            const config::Settings& settings) {
  return transport::ably::make_ably_revoker(std::move(executor), settings);
}

}  // namespace sealcast::app
