// Reads a JWK Set from its file, and selects the key that verifies a token.
#include "message/jwks.h"

#include <simdjson.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>

#include "base/log.h"
#include "core/token/base64.h"

namespace sealcast::message {
namespace {

using core::token::PublicKey;

constexpr int kMinRsaBits = 2048;  // RFC 7518 §3.3

std::string_view text_member(const simdjson::dom::object& object, std::string_view name) {
  std::string_view text;
  return object[name].get(text) == simdjson::SUCCESS ? text : std::string_view();
}

// Returns the algorithm (RS256 or ES256) of the sessions that a key of this type can verify, or an empty text.
std::string_view algorithm_of(const simdjson::dom::object& jwk) {
  const std::string_view kty = text_member(jwk, "kty");
  if (kty == "RSA") return "RS256";
  return kty == "EC" && text_member(jwk, "crv") == "P-256" ? "ES256" : "";
}

// Whether the key is meant for something else than verifying signatures.
bool is_for_other_uses(const simdjson::dom::object& jwk) {
  const std::string_view use = text_member(jwk, "use");
  return !use.empty() && use != "sig";
}

std::optional<PublicKey> read_key(const simdjson::dom::object& jwk, bool is_rsa) {
  std::string first, second;
  const bool decoded = core::token::decode_base64url(text_member(jwk, is_rsa ? "n" : "x"), first) &&
                       core::token::decode_base64url(text_member(jwk, is_rsa ? "e" : "y"), second);
  if (!decoded || first.empty() || second.empty()) return std::nullopt;
  return is_rsa ? PublicKey::rsa(first, second) : PublicKey::p256(first, second);
}

}  // namespace

Jwks::Jwks(std::string path) : path_(std::move(path)), stamp_(stamp_file(path_)), keys_(load()) {}

std::vector<Jwks::Key> Jwks::load() const {
  const auto fail = [this](const std::string& problem) {
    return std::runtime_error("session.jwks_file: \"" + path_ + "\" " + problem);
  };
  std::ifstream file(path_, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw fail("cannot be read; name a file that sealcastd's user can read");
  std::vector<Key> keys;
  std::string ignored;
  try {
    simdjson::dom::parser parser;
    for (const auto element : parser.parse(text)["keys"].get_array()) {
      const simdjson::dom::object jwk = element;
      if (is_for_other_uses(jwk)) continue;
      const std::string kid(text_member(jwk, "kid"));
      const std::string problem = add_key(jwk, kid, keys);
      if (problem.empty()) continue;
      // A key that we cannot use does not make the others unusable (RFC 7517, 5).
      log::write(log::Level::warn, log::tag::kAuth, "a session key cannot be used and is ignored",
                 {{"file", path_}, {"kid", kid}, {"reason", problem}});
      ignored += "; the key \"" + kid + "\" " + problem;
    }
  } catch (const simdjson::simdjson_error&) {
    throw fail(R"(is not a JWK Set; write {"keys": […]})");
  }
  if (keys.empty()) {
    throw fail("contains no public key for RS256 (RSA) or ES256 (EC, P-256); add one" + ignored);
  }
  return keys;
}

// Adds the key. Returns the problem of a key that cannot be used.
std::string Jwks::add_key(const simdjson::dom::object& jwk, const std::string& kid, std::vector<Key>& keys) {
  const std::string_view algorithm = algorithm_of(jwk);
  const std::string_view stated = text_member(jwk, "alg");
  if (algorithm.empty() || (!stated.empty() && stated != algorithm)) return "is neither for RS256 nor for ES256";
  const bool is_rsa = algorithm == "RS256";
  auto key = read_key(jwk, is_rsa);
  if (!key) return "is not a valid JWK";
  if (is_rsa && key->bits() < kMinRsaBits) return "is shorter than 2048 bits";
  // Keys of different types may have the same kid (RFC 7517, 4.5).
  for (const Key& other : keys) {
    if (other.kid == kid && other.key.algorithm() == algorithm) return "has the kid and the type of a key before it";
  }
  keys.push_back({kid, std::move(*key)});
  return {};
}

bool Jwks::reload_if_changed() {
  const FileStamp now = stamp_file(path_);
  if (now == stamp_) return false;
  stamp_ = now;
  try {
    keys_ = load();
  } catch (const std::runtime_error& error) {
    log::write(log::Level::error, log::tag::kAuth, "session keys cannot be read again; the last keys stay in force",
               {{"reason", std::string_view(error.what())}});
    return false;
  }
  log::write(log::Level::info, log::tag::kAuth, "session keys read again",
             {{"keys", static_cast<std::int64_t>(keys_.size())}});
  return true;
}

Jwks::Outcome Jwks::verify(const core::token::Jwt& jwt) const {
  const PublicKey* chosen = nullptr;
  for (const Key& key : keys_) {
    if (key.key.algorithm() != jwt.alg || (jwt.kid && key.kid != *jwt.kid)) continue;
    if (chosen != nullptr) return Outcome::several_keys;
    chosen = &key.key;
  }
  if (chosen == nullptr) return Outcome::unknown_key;
  return chosen->verify(jwt.signed_part, jwt.signature) ? Outcome::verified : Outcome::bad_signature;
}

}  // namespace sealcast::message
