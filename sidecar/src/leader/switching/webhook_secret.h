// Decodes the secret that signs webhooks, as Standard Webhooks writes it: whsec_ and 24 to 64 bytes in base64.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::leader::switching {

// Returns the bytes of the secret. Throws SettingsError, which names the setting and never the secret.
std::string decode_webhook_secret(std::string_view secret);

}  // namespace sealcast::leader::switching
