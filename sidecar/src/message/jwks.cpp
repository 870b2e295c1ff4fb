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

// Returns the algorithm (RS256 or ES256) of the sessions that the JWK can verify. Returns an empty text if the JWK
// cannot verify sessions.
std::string_view algorithm_of(const simdjson::dom::object& jwk) {
  const std::string_view use = text_member(jwk, "use");
  const std::string_view kty = text_member(jwk, "kty");
  const std::string_view algorithm = kty == "RSA"                                        ? "RS256"
                                     : kty == "EC" && text_member(jwk, "crv") == "P-256" ? "ES256"
                                                                                         : "";
  const std::string_view stated = text_member(jwk, "alg");
  if (!use.empty() && use != "sig") return {};
  return stated.empty() || stated == algorithm ? algorithm : std::string_view();
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
  try {
    simdjson::dom::parser parser;
    for (const auto element : parser.parse(text)["keys"].get_array()) {
      const simdjson::dom::object jwk = element;
      const std::string_view algorithm = algorithm_of(jwk);
      if (algorithm.empty()) continue;
      const std::string kid(text_member(jwk, "kid"));
      const std::string name = "contains the key \"" + kid + "\", which ";
      const bool is_rsa = algorithm == "RS256";
      auto key = read_key(jwk, is_rsa);
      if (!key) throw fail(name + "is not a valid JWK; fix or remove it");
      if (is_rsa && key->bits() < kMinRsaBits) throw fail(name + "is shorter than 2048 bits; use a longer key");
      for (const Key& other : keys) {
        if (other.kid == kid) throw fail(name + "has the same kid as another key; give each key its own kid");
      }
      keys.push_back({kid, std::move(*key)});
    }
  } catch (const simdjson::simdjson_error&) {
    throw fail(R"(is not a JWK Set; write {"keys": […]})");
  }
  if (keys.empty()) throw fail("contains no public key for RS256 (RSA) or ES256 (EC, P-256); add one");
  return keys;
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

bool Jwks::verify(const core::token::Jwt& jwt) const {
  const PublicKey* chosen = nullptr;
  for (const Key& key : keys_) {
    if (key.key.algorithm() != jwt.alg || (jwt.kid && key.kid != *jwt.kid)) continue;
    if (chosen != nullptr) return false;
    chosen = &key.key;
  }
  return chosen != nullptr && chosen->verify(jwt.signed_part, jwt.signature);
}

}  // namespace sealcast::message
