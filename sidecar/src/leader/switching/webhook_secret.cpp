// Decodes base64 with OpenSSL and checks the limits of the standard.
#include "leader/switching/webhook_secret.h"

#include <openssl/evp.h>

#include <algorithm>

#include "client/http/base64.h"
#include "config/settings.h"

namespace sealcast::leader::switching {
namespace {

constexpr std::string_view kSecretPrefix = "whsec_";
constexpr std::size_t kMinSecret = 24, kMaxSecret = 64;  // bytes, by the standard
constexpr std::size_t kBase64Quantum = 4;

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

std::string decode_webhook_secret(std::string_view secret) {
  const core::SettingsError malformed(
      "switching.webhook_secret_file: the file does not contain whsec_ and 24 to 64 bytes in base64; make a secret "
      "with `echo whsec_$(openssl rand -base64 32)`");
  if (!secret.starts_with(kSecretPrefix)) throw malformed;
  secret.remove_prefix(kSecretPrefix.size());
  if (secret.empty() || secret.size() % kBase64Quantum != 0) throw malformed;
  std::string key(secret.size(), '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(key.data()), bytes(secret), static_cast<int>(secret.size()));
  if (size < 0) throw malformed;
  // EVP_DecodeBlock counts a byte for each padding character too.
  const auto padding = static_cast<std::size_t>(std::count(secret.end() - 2, secret.end(), '='));
  key.resize(static_cast<std::size_t>(size) - padding);
  if (key.size() < kMinSecret || key.size() > kMaxSecret) throw malformed;
  // EVP_DecodeBlock also accepts misplaced padding, white space and unused bits that are not zero. Such a secret is
  // ambiguous.
  if (client::http::base64(key) != secret) throw malformed;
  return key;
}

}  // namespace sealcast::leader::switching
