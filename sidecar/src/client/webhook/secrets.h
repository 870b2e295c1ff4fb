// The secrets that sign the calls of a webhook, in the formats of Standard Webhooks 1.0.0
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md): whsec_ signs with
// HMAC-SHA256, whsk_ with Ed25519. This class has a file of its own because the fuzzer links it without the HTTP client
// of webhook.cpp.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/digest.h"
#include "core/ed25519.h"

namespace sealcast::client::webhook {

class WebhookSecrets {
 public:
  // `text` has one secret per line, at most kMax. Each is whsec_ and 24 to 64 bytes in base64, or whsk_ and an Ed25519
  // private key in base64: the 32 bytes of the seed, or these and the 32 bytes of the public key. Throws SettingsError,
  // which contains no secret.
  explicit WebhookSecrets(std::string_view text);

  static constexpr std::size_t kMax = 4;

  // Returns the value of the header webhook-signature: one signature per secret, in their order, separated by spaces.
  std::string signatures(std::string_view content) const;

 private:
  std::vector<std::variant<core::HmacKey, core::Ed25519Key>> keys_;
};

// Reads the secrets from their file. Returns the text for WebhookSecrets. Throws SettingsError, which names the
// setting, if the file cannot be read or its content is not valid.
std::string read_webhook_secrets(const std::string& setting, const std::string& file);

}  // namespace sealcast::client::webhook
