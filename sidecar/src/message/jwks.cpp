// Reading a JWK Set, and RS256 and ES256 by cjose.
#include "message/jwks.h"

#include <openssl/err.h>
#include <simdjson.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/log.h"
#include "core/token/base64url.h"

namespace sealcast::message {
namespace {

constexpr std::size_t kMinRsaBits = 2048;    // RFC 7518 §3.3
constexpr std::size_t kEs256Signature = 64;  // RFC 7518 §3.4

std::string member(const simdjson::dom::object& object, std::string_view name) {
  std::string_view text;
  return object[name].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

// The algorithm that a key is for, or empty when it is for none that sessions use.
std::string algorithm_of(const simdjson::dom::object& key) {
  const std::string use = member(key, "use");
  const std::string kty = member(key, "kty");
  const std::string own = kty == "RSA" ? "RS256" : kty == "EC" && member(key, "crv") == "P-256" ? "ES256" : "";
  const std::string stated = member(key, "alg");
  if (!use.empty() && use != "sig") return "";
  return stated.empty() || stated == own ? own : "";
}

// The public half alone, for cjose, which ends the process over base64 that is none; empty when it is not whole.
std::string public_half(const simdjson::dom::object& key, bool rsa) {
  std::string json = rsa ? R"({"kty":"RSA")" : R"({"kty":"EC","crv":"P-256")";
  for (const std::string_view name : {rsa ? "n" : "x", rsa ? "e" : "y"}) {
    const std::string text = member(key, name);
    std::string bytes;
    if (text.empty() || !core::token::decode_base64url(text, bytes)) return {};
    json.append(",\"").append(name).append("\":\"").append(text).append("\"");
  }
  return json + "}";
}

}  // namespace

Jwks::Jwks(std::string path) : path_(std::move(path)), stamp_(stamp_file(path_)), keys_(load()) {}

std::vector<Jwks::Key> Jwks::load() const {
  const auto fail = [this](const std::string& what) {
    return std::runtime_error("session.jwks_file: \"" + path_ + "\" " + what);
  };
  std::ifstream file(path_, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw fail("cannot be read; name a file that sealcastd's user can read");
  std::vector<Key> keys;
  try {
    simdjson::dom::parser parser;
    for (const auto element : parser.parse(text)["keys"].get_array()) {
      const simdjson::dom::object object = element;
      Key key{member(object, "kid"), algorithm_of(object), nullptr};
      if (key.alg.empty()) continue;
      const std::string json = public_half(object, key.alg == "RS256");
      key.key.reset(cjose_jwk_import(json.data(), json.size(), nullptr));
      const std::string name = "holds the key \"" + key.kid + "\", which ";
      if (!key.key) throw fail(name + "is no valid JWK; take it out or mend it");
      if (key.alg == "RS256" && cjose_jwk_get_keysize(key.key.get(), nullptr) < kMinRsaBits) {
        throw fail(name + "is shorter than 2048 bits; use a longer one");
      }
      for (const Key& other : keys) {
        if (other.kid == key.kid) throw fail(name + "stands there twice; give each key a kid of its own");
      }
      keys.push_back(std::move(key));
    }
  } catch (const simdjson::simdjson_error&) {
    throw fail(R"(is no JWK Set; write {"keys": […]})");
  }
  if (keys.empty()) throw fail("holds no public key for RS256 (RSA) or ES256 (EC, P-256); add one");
  return keys;
}

bool Jwks::reload_if_changed() {
  const FileStamp now = stamp_file(path_);
  if (now == stamp_) return false;
  stamp_ = now;
  try {
    keys_ = load();
  } catch (const std::runtime_error& error) {
    log::write(log::Level::error, log::tag::kAuth, "session keys cannot be read again; the last ones stay in force",
               {{"reason", std::string_view(error.what())}});
    return false;
  }
  log::write(log::Level::info, log::tag::kAuth, "session keys read again",
             {{"keys", static_cast<std::int64_t>(keys_.size())}});
  return true;
}

const Jwks::Key* Jwks::choose(const core::token::Jwt& jwt) const {
  const Key* chosen = nullptr;
  for (const Key& key : keys_) {
    if (key.alg != jwt.alg || (jwt.kid && key.kid != *jwt.kid)) continue;
    if (chosen != nullptr) return nullptr;
    chosen = &key;
  }
  return chosen;
}

bool Jwks::verify(const core::token::Jwt& jwt, std::string_view token) const {
  const Key* key = choose(jwt);
  if (key == nullptr || (key->alg == "ES256" && jwt.signature.size() != kEs256Signature)) return false;
  const std::unique_ptr<cjose_jws_t, decltype(&cjose_jws_release)> jws(
      cjose_jws_import(token.data(), token.size(), nullptr), cjose_jws_release);
  bool valid = false;
  if (jws) {
    // cjose goes by the header that it has read: it must be the algorithm that was chosen by the key.
    const char* alg = cjose_header_get(cjose_jws_get_protected(jws.get()), CJOSE_HDR_ALG, nullptr);
    valid = alg != nullptr && key->alg == alg && cjose_jws_verify(jws.get(), key->key.get(), nullptr);
  }
  ERR_clear_error();  // failures leave entries that the next user of OpenSSL would take for its own
  return valid;
}

}  // namespace sealcast::message
