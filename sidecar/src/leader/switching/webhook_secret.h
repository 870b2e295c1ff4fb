// Decodes the secret that signs the calls of a webhook, in the format of Standard Webhooks: whsec_ and 24 to 64 bytes
// in base64. It is apart from webhook.cpp for the fuzzer, which links no HTTP client.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::leader::switching {

// Returns the bytes of the secret. Throws SettingsError, which names the setting and never the secret.
std::string decode_webhook_secret(std::string_view secret);

}  // namespace sealcast::leader::switching
