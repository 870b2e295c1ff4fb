// Decodes the secret that signs the calls of a webhook. Its format is that of Standard Webhooks: whsec_ and 24 to 64
// bytes in base64. This function has a file of its own because the fuzzer links it without the HTTP client of
// webhook.cpp.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::leader::switching {

// Returns the bytes of the secret. Throws SettingsError if the format is wrong. The error names the setting, but does
// not contain the secret.
std::string decode_webhook_secret(std::string_view secret);

// Reads a secret from its file. Throws SettingsError if there is none in this format.
std::string read_webhook_secret(const std::string& setting, const std::string& file);

}  // namespace sealcast::leader::switching
