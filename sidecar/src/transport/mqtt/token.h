// Tokens for MQTT brokers that check them: a JWT as the password of the connection.
//
// HS256 under a secret that the broker shares. `acl` is in the format of EMQX from 5.5
// (https://docs.emqx.com/en/emqx/latest/access-control/authn/acl.html), where the rest is denied by a rule of its own,
// as rules that do not match leave the decision to the broker's others. There is no `sub`, so that it is a session
// nowhere. Mosquitto checks it by the plugin in mosquitto/.
#pragma once

#include <memory>

#include "config/settings.h"
#include "transport/tokens.h"

namespace sealcast::transport::mqtt {

// Null when the settings leave it off. Throws SettingsError when the secret cannot be used.
std::unique_ptr<TokenMaker> make_mqtt_tokens(const config::Settings& settings);

}  // namespace sealcast::transport::mqtt
