// Decodes the secret that signs the calls of a webhook, and checks its size.
#include "leader/switching/webhook_secret.h"

#include "core/settings_error.h"
#include "core/token/base64.h"
#include "core/token/secret_file.h"

namespace sealcast::leader::switching {
namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr std::size_t kMinBytes = 24, kMaxBytes = 64;  // Standard Webhooks

}  // namespace

std::string decode_webhook_secret(std::string_view secret) {
  std::string key;
  if (!secret.starts_with(kPrefix) || !core::token::decode_base64(secret.substr(kPrefix.size()), key) ||
      key.size() < kMinBytes || key.size() > kMaxBytes) {
    throw core::SettingsError(
        "switching.webhook_secret_file: the file does not contain whsec_ and 24 to 64 bytes in base64; make a secret "
        "with `echo whsec_$(openssl rand -base64 32)`");
  }
  return key;
}

std::string read_webhook_secret(const std::string& setting, const std::string& file) {
  std::string secret = core::token::read_secret_file(setting, file);
  decode_webhook_secret(secret);
  return secret;
}

}  // namespace sealcast::leader::switching
