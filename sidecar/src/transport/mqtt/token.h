// Makes reader tokens for MQTT brokers: a JWT that is the password of the reader's connection.
//
// The algorithm is HS256, with a secret that the broker shares. The claim `acl` has the format of EMQX 5.5 and later
// (https://docs.emqx.com/en/emqx/latest/access-control/authn/acl.html). Its last rule denies all other topics, because
// EMQX leaves the decision to its other rules when no rule of `acl` matches. The token has no claim `sub`, so no part
// of Sealcast accepts it as a session. For Mosquitto the plugin in mosquitto/ verifies the token.
#pragma once

#include <memory>

#include "config/settings.h"
#include "transport/tokens.h"

namespace sealcast::transport::mqtt {

// Returns null when mqtt.token_secret_file is empty. Throws SettingsError when the secret cannot be used.
std::unique_ptr<TokenMaker> make_mqtt_tokens(const config::Settings& settings);

}  // namespace sealcast::transport::mqtt
