// Forms the names that outside services use for a stream's channels.
#include "transport/tokens.h"

#include <utility>

#include "config/settings.h"
#include "core/json_string.h"
#include "transport/outside/adapter.h"

namespace sealcast::transport {

ChannelNames::ChannelNames(Pattern everyone, Pattern vip) : everyone_(std::move(everyone)), vip_(std::move(vip)) {
  for (const Pattern& pattern : {everyone_, vip_}) {
    std::string json;
    core::Fault fault;
    if (!core::append_json_string(pattern.text, json, fault))
      throw core::SettingsError(pattern.setting + " is not valid UTF-8; remove the invalid bytes");
  }
}

std::optional<ChannelNames::Name> ChannelNames::of(std::string_view stream_id, Channel channel) const {
  const std::string& pattern = channel == Channel::everyone ? everyone_.text : vip_.text;
  if (pattern.empty()) return std::nullopt;
  Name name{outside::expand_template(pattern, stream_id), {}};
  core::Fault fault;
  core::append_json_string(name.text, name.json, fault);
  return name;
}

}  // namespace sealcast::transport
