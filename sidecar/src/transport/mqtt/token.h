// Makes reader tokens for MQTT brokers. A token is a JWT, which the reader sends as the password of its connection.
//
// The token is signed with HS256. The broker knows the same secret. The claim `acl` has the format of EMQX 5.5 and
// later (https://docs.emqx.com/en/emqx/latest/access-control/authn/acl.html). The last rule of `acl` denies all other
// topics. Without this rule, other rules of EMQX would decide about topics that no rule of `acl` matches. The token has
// no claim `sub`, so no part of Sealcast accepts it as a session. For Mosquitto, the plugin in mosquitto/ verifies the
// token.
#pragma once

#include <memory>

#include "config/settings.h"
#include "transport/tokens.h"

namespace sealcast::transport::mqtt {

// Returns null when mqtt.token_secret_file is empty. Throws SettingsError when the secret cannot be used.
std::unique_ptr<TokenMaker> make_mqtt_tokens(const config::Settings& settings);

}  // namespace sealcast::transport::mqtt
