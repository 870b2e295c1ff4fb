// Decodes the secrets of a webhook, checks them, and signs.
#include "client/webhook/secrets.h"

#include <algorithm>

#include "core/settings_error.h"
#include "core/token/base64.h"
#include "core/token/secret_file.h"

namespace sealcast::client::webhook {
namespace {

constexpr std::string_view kSymmetric = "whsec_", kAsymmetric = "whsk_";
constexpr std::size_t kMinBytes = 24, kMaxBytes = 64;  // of a symmetric secret, by Standard Webhooks

std::string_view view(const core::Ed25519Signature& signature) {
  return {reinterpret_cast<const char*>(signature.data()), signature.size()};
}

core::SettingsError failure(const std::string& problem) {
  return core::SettingsError(problem +
                             "; write one secret per line, for example the output of `echo whsec_$(openssl rand "
                             "-base64 32)`");
}

core::HmacKey symmetric_key(std::string_view base64) {
  std::string key;
  if (!core::token::decode_base64(base64, key) || key.size() < kMinBytes || key.size() > kMaxBytes)
    throw failure("a secret is not whsec_ and 24 to 64 bytes in base64");
  return core::HmacKey(key);
}

core::Ed25519Key asymmetric_key(std::string_view base64) {
  std::string bytes;
  if (!core::token::decode_base64(base64, bytes) ||
      (bytes.size() != core::kEd25519Seed && bytes.size() != core::kEd25519Seed + core::Ed25519PublicKey().size()))
    throw failure("a secret is not whsk_ and an Ed25519 private key of 32 or 64 bytes in base64");
  core::Ed25519Key key(std::string_view(bytes).substr(0, core::kEd25519Seed));
  const std::string_view stated = std::string_view(bytes).substr(core::kEd25519Seed);
  if (!stated.empty() && stated != core::bytes(key.public_key()))
    throw failure("in a secret whsk_ of 64 bytes, the last 32 are not the public key of the first 32");
  return key;
}

}  // namespace

WebhookSecrets::WebhookSecrets(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (keys_.size() == kMax) throw failure("there are more than " + std::to_string(kMax) + " secrets");
    if (line.starts_with(kSymmetric)) {
      keys_.emplace_back(symmetric_key(line.substr(kSymmetric.size())));
    } else if (line.starts_with(kAsymmetric)) {
      keys_.emplace_back(asymmetric_key(line.substr(kAsymmetric.size())));
    } else {
      throw failure("a line does not begin with whsec_ or whsk_");
    }
  }
  if (keys_.empty()) throw failure("there is no secret");
}

std::string WebhookSecrets::signatures(std::string_view content) const {
  std::string all;
  for (const auto& key : keys_) {
    if (!all.empty()) all += ' ';
    if (const auto* hmac = std::get_if<core::HmacKey>(&key)) {
      all += "v1," + core::token::encode_base64(core::bytes(hmac->sign(content)));
    } else {
      all += "v1a," + core::token::encode_base64(view(std::get<core::Ed25519Key>(key).sign(content)));
    }
  }
  return all;
}

std::string read_webhook_secrets(const std::string& setting, const std::string& file) {
  std::string text = core::token::read_secret_file(setting, file);
  try {
    [[maybe_unused]] const WebhookSecrets valid(text);  // throws if one is not
  } catch (const core::SettingsError& error) {
    throw core::SettingsError(setting + ": " + error.what());
  }
  return text;
}

}  // namespace sealcast::client::webhook
