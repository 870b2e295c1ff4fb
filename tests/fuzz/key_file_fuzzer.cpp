// Interprets the input as the name and the content of an operator's key file. Each reader of key files must return a
// usable key, or throw an error whose message does not contain the file's content.
#include <functional>
#include <stdexcept>
#include <string>

#include "client/webhook/secrets.h"
#include "config/settings.h"
#include "core/error.h"
#include "core/keyring.h"
#include "core/token/secret_file.h"
#include "fuzz.h"
#include "message/jwks.h"
#include "support/scratch.h"
#include "transport/ably/key.h"

namespace sealcast::fuzz {
namespace {

// Returns the first 24 bytes of the content: so many that an error message cannot contain them by chance. Returns an
// empty text if the content is shorter, or if the file's name in quotes, which error messages do contain, contains
// these bytes.
std::string_view secret_piece(std::string_view name, std::string_view content) {
  constexpr std::size_t kSize = 24;
  const std::string_view piece = content.size() < kSize ? std::string_view() : content.substr(0, kSize);
  return contains('"' + std::string(name) + '"', piece) ? std::string_view() : piece;
}

// Returns whether `read` succeeds. It may throw only `Refusal`, whose message must not contain `secret`.
template <typename Refusal>
bool accepted(std::string_view secret, const std::function<void()>& read) {
  try {
    read();
    return true;
  } catch (const Refusal& refusal) {
    const std::string_view text = refusal.what();
    require(!text.empty(), "an error message is not empty");
    require(secret.empty() || !contains(text, secret), "an error message does not contain the secret");
    return false;
  }
}

void check_keyring(const std::string& directory, const std::string& name, std::string_view content) {
  accepted<core::Error>(secret_piece(name, content), [&] {
    const core::LoadedKeyring loaded = core::load_keyring(directory, true);
    require(loaded.keyring.keys().size() <= 1, "a file is at most one key");
    for (const core::Key& key : loaded.keyring.keys()) {
      const bool pair = name.ends_with(core::kEd25519Ending);
      require(
          core::is_kid(key.kid) && key.kid == name.substr(0, name.size() - (pair ? core::kEd25519Ending.size() : 0)),
          "the file's name is the key id");
      require((key.algorithm() == core::Algorithm::ed25519) == pair, "the file's name decides on the algorithm");
      require(key.secret.size() >= core::kMinSecretBytes && key.secret.size() <= core::kMaxSecretBytes,
              "a secret is long enough");
      require(pair || !key.secret.starts_with("-----BEGIN "), "PEM is not an HMAC secret");
      require(key.verify("message", key.sign("message")), "a signature verifies");
      require(!key.verify("another", key.sign("message")), "a signature of another message does not verify");
    }
  });
}

void check_jwks(const std::string& file, std::string_view content) {
  accepted<std::runtime_error>({}, [&] {
    const message::Jwks keys(file);
    core::token::Jwt jwt{"a.b", "b", std::string(64, 's'), "HS256", std::nullopt};
    for (const char* alg : {"HS256", "none", "RS256", "ES256", ""}) {
      jwt.alg = alg;
      require(keys.verify(jwt) != message::Jwks::Outcome::verified, "an invalid signature does not verify");
    }
    require(content.find("\"keys\"") != content.npos || content.find("\\u") != content.npos,
            "an accepted file has the member keys");
  });
}

void check_secrets(const std::string& file, std::string_view content) {
  const std::string_view piece = secret_piece(file, content);
  std::string secret;
  if (accepted<core::SettingsError>(piece, [&] { secret = core::token::read_secret_file("a.setting", file); })) {
    require(!secret.empty() && (content == secret || content == secret + "\n"), "a secret is the content of its file");
  }
  if (accepted<core::SettingsError>(piece, [&] { secret = transport::ably::read_key("ably.key_file", file).text; })) {
    require(is_one_line(secret) && secret.find_first_of(" \t") == secret.npos && secret.find(':') != secret.npos,
            "an API key is one line without spaces and with a colon");
  }
  if (accepted<core::SettingsError>(piece,
                                    [&] { secret = client::webhook::WebhookSecrets(content).signatures("x"); })) {
    require(secret.starts_with("v1") && is_one_line(secret), "the signatures are one line");
    require(content.starts_with("whsec_") || content.starts_with("whsk_") || content.find_first_of("\r\n") == 0,
            "a secret has one of the two prefixes");
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
