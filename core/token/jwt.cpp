// Parses JWTs strictly, and signs and verifies JWTs with HS256.
#include "core/token/jwt.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/token/base64.h"

namespace sealcast::core::token {
namespace {

constexpr std::string_view kHeader = R"({"alg":"HS256","typ":"JWT"})";
constexpr double kLastSecond = 253'402'300'799;  // the end of the year 9999; later dates become this date

simdjson::dom::parser& parser() {
  thread_local simdjson::dom::parser parser;
  return parser;
}

std::string text_of(const simdjson::dom::element& value) { return std::string(std::string_view(value)); }

// Converts a NumericDate (RFC 7519 §2) to whole seconds. A fraction is rounded down.
std::int64_t date_of(const simdjson::dom::element& value) {
  return static_cast<std::int64_t>(std::floor(std::clamp(double(value), -kLastSecond, kLastSecond)));
}

// Returns whether a token with this `typ` can be a session (RFC 8725 §3.11; RFC 9068). Refuses other types, because an
// issuer may sign logout tokens, proofs and events with the same keys.
bool is_session_type(std::string_view type) {
  std::string lower(type);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  constexpr std::string_view kMedia = "application/";
  std::string_view name = lower;
  if (name.substr(0, kMedia.size()) == kMedia) name.remove_prefix(kMedia.size());
  return name == "jwt" || name == "at+jwt";
}

}  // namespace

std::optional<Jwt> parse_jwt(std::string_view token) {
  if (token.size() > kMaxTokenBytes) return std::nullopt;
  const auto first = token.find('.');
  const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  Jwt jwt;
  jwt.signed_part = token.substr(0, second);
  std::string header;
  // A third dot is refused by decode_base64url(), because a dot is not a character of base64url.
  if (!decode_base64url(token.substr(0, first), header) ||
      !decode_base64url(token.substr(first + 1, second - first - 1), jwt.payload) ||
      !decode_base64url(token.substr(second + 1), jwt.signature)) {
    return std::nullopt;
  }
  try {
    std::set<std::string, std::less<>> names;
    for (const auto [name, value] : parser().parse(header).get_object()) {
      if (!names.emplace(name).second || name == "crit") return std::nullopt;
      if (name == "alg") jwt.alg = text_of(value);
      if (name == "kid") jwt.kid = text_of(value);
      if (name == "typ" && !is_session_type(text_of(value))) return std::nullopt;
    }
  } catch (const simdjson::simdjson_error&) {
    return std::nullopt;
  }
  if (jwt.alg.empty()) return std::nullopt;
  return jwt;
}

std::optional<Claims> parse_claims(std::string_view payload) {
  Claims claims;
  std::set<std::string, std::less<>> names;
  try {
    for (const auto [name, value] : parser().parse(payload.data(), payload.size()).get_object()) {
      if (!names.emplace(name).second) return std::nullopt;
      if (name == "sub") {
        claims.sub = text_of(value);
      } else if (name == "iss") {
        claims.iss = text_of(value);
      } else if (name == "exp") {
        claims.exp = date_of(value);
      } else if (name == "nbf") {
        claims.nbf = date_of(value);
      } else if (name == "stream_id") {
        claims.stream_id = text_of(value);
      } else if (name == "session_exp" && value.is_number()) {
        claims.session_exp = date_of(value);
      } else if (name == "aud" && value.is_array()) {
        for (const auto audience : value.get_array()) claims.aud.push_back(text_of(audience));
      } else if (name == "aud") {
        claims.aud.push_back(text_of(value));
      }
    }
  } catch (const simdjson::simdjson_error&) {
    return std::nullopt;
  }
  return claims;
}

bool verify_hs256(const Jwt& jwt, const HmacKey& key) {
  Digest given;
  if (jwt.alg != "HS256" || jwt.signature.size() != given.size()) return false;
  std::copy(jwt.signature.begin(), jwt.signature.end(), given.begin());
  return equal_in_constant_time(given, key.sign(jwt.signed_part));
}

std::string write_hs256(std::string_view claims, const HmacKey& key) {
  std::string token;
  append_base64url(kHeader, token);
  token += '.';
  append_base64url(claims, token);
  const Digest signature = key.sign(token);
  token += '.';
  append_base64url(bytes(signature), token);
  return token;
}

}  // namespace sealcast::core::token
