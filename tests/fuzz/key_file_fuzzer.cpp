// Any bytes as the name and the content of an operator's key file: keys that work, or a complaint that tells none of
// it.
#include <functional>
#include <stdexcept>
#include <string>

#include "config/settings.h"
#include "core/error.h"
#include "core/keyring.h"
#include "core/token/base64.h"
#include "core/token/secret_file.h"
#include "fuzz.h"
#include "leader/switching/webhook_secret.h"
#include "message/jwks.h"
#include "support/scratch.h"
#include "transport/ably/key.h"

namespace sealcast::fuzz {
namespace {

// A piece of the content that no complaint has by chance, nor by the file's name; empty: there is none.
std::string_view telling(std::string_view name, std::string_view content) {
  constexpr std::size_t kEnough = 24;
  const std::string_view piece = content.size() < kEnough ? std::string_view() : content.substr(0, kEnough);
  return contains(name, piece) ? std::string_view() : piece;
}

// Whether it was taken. Only `Refusal` may be thrown, and not with `secret` in it.
template <typename Refusal>
bool taken(std::string_view secret, const std::function<void()>& read) {
  try {
    read();
    return true;
  } catch (const Refusal& refusal) {
    const std::string_view text = refusal.what();
    require(!text.empty(), "a complaint says something");
    require(secret.empty() || !contains(text, secret), "a complaint does not tell the secret");
    return false;
  }
}

void check_keyring(const std::string& directory, const std::string& name, std::string_view content) {
  taken<core::Error>(telling(name, content), [&] {
    const core::LoadedKeyring loaded = core::load_keyring(directory, true);
    require(loaded.keyring.keys().size() <= 1, "a file is a key");
    for (const core::Key& key : loaded.keyring.keys()) {
      const bool pair = name.ends_with(core::kEd25519Ending);
      require(
          core::is_kid(key.kid) && key.kid == name.substr(0, name.size() - (pair ? core::kEd25519Ending.size() : 0)),
          "a key is named by its file");
      require((key.algorithm() == core::Algorithm::ed25519) == pair, "the name of the file decides on the algorithm");
      require(key.secret.size() >= core::kMinSecretBytes && key.secret.size() <= core::kMaxSecretBytes,
              "a secret is long enough");
      require(pair || !key.secret.starts_with("-----BEGIN "), "no public key is a secret");
      require(key.verify("message", key.sign("message")), "what a key signs verifies");
      require(!key.verify("another", key.sign("message")), "and nothing else does");
    }
  });
}

void check_jwks(const std::string& file, std::string_view content) {
  taken<std::runtime_error>({}, [&] {
    const message::Jwks keys(file);
    core::token::Jwt jwt{"a.b", "b", std::string(64, 's'), "HS256", std::nullopt};
    for (const char* alg : {"HS256", "none", "RS256", "ES256", ""}) {
      jwt.alg = alg;
      require(!keys.verify(jwt), "a key set verifies nothing that it did not sign");
    }
    require(content.find("\"keys\"") != content.npos || content.find("\\u") != content.npos, "a key set has keys");
  });
}

void check_secrets(const std::string& file, std::string_view content) {
  const std::string_view piece = telling(file, content);
  std::string secret;
  if (taken<core::SettingsError>(piece, [&] { secret = core::token::read_secret_file("a.setting", file); })) {
    require(!secret.empty() && (content == secret || content == secret + "\n"), "a secret is its file");
  }
  if (taken<core::SettingsError>(piece, [&] { secret = transport::ably::read_key("ably.key_file", file).text; })) {
    require(is_one_line(secret) && secret.find_first_of(" \t") == secret.npos && secret.find(':') != secret.npos,
            "an API key is one word with a colon");
  }
  if (taken<core::SettingsError>(piece, [&] { secret = leader::switching::decode_webhook_secret(content); })) {
    require("whsec_" + core::token::encode_base64(secret) == content,
            "a webhook's secret is base64, written in the one way");
  }
}

}  // namespace

void check(std::string_view content) {
  static const test::Scratch scratch;
  const std::string name(next_line(content));
  const std::filesystem::path directory = scratch.path("keys");
  if (name.empty() || name.size() > 200 || name.find_first_of(std::string_view("/\0", 2)) != name.npos) return;
  if (name == "." || name == "..") return;
  std::filesystem::create_directory(directory);
  const std::string file = scratch.write("keys/" + name, content);
  std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  check_keyring(directory, name, content);
  check_jwks(file, content);
  check_secrets(file, content);
  std::filesystem::remove(file);
}

}  // namespace sealcast::fuzz
