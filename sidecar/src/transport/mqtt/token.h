// Makes reader tokens for MQTT brokers. A token is a JWT, which the reader sends as the password of its connection.
//
// The token is signed with HS256. The broker knows the same secret. The claim `acl` has EMQX's form that denies every
// action and topic that it does not name (authorize_v1() in apps/emqx_auth/src/emqx_authz/sources/
// emqx_authz_client_info.erl of github.com/emqx/emqx). EMQX also knows a list of rules. No list can deny everything: if
// no rule matches, EMQX's other rules decide, and `#` does not match topics that begin with `$` (match_words() in
// apps/emqx/src/emqx_topic.erl). The token has no claim `sub`, so no part of Sealcast accepts it as a session. For
// Mosquitto, the plugin in mosquitto/ verifies the token.
#pragma once

#include <memory>

#include "config/settings.h"
#include "transport/tokens.h"

namespace sealcast::transport::mqtt {

// Returns null when mqtt.token_secret_file is empty. Throws SettingsError when the secret cannot be used.
std::unique_ptr<TokenMaker> make_mqtt_tokens(const config::Settings& settings);

}  // namespace sealcast::transport::mqtt
