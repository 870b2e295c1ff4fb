// The secret that a webhook is signed by, as Standard Webhooks write it: whsec_ and 24 to 64 bytes in base64.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::leader::switching {

// The bytes. Throws SettingsError, naming the setting and never the secret.
std::string decode_webhook_secret(std::string_view secret);

}  // namespace sealcast::leader::switching
