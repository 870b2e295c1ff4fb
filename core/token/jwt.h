// JWTs in compact form (RFC 7515, RFC 7519): parses them, and verifies and writes HS256.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"

namespace sealcast::core::token {

inline constexpr std::size_t kMaxTokenBytes = 8192;

// A parsed token. Nothing in it is trustworthy before its signature is verified.
struct Jwt {
  std::string_view signed_part;  // header.payload: a view into the parsed token
  std::string payload;
  std::string signature;
  std::string alg;
  std::optional<std::string> kid;
};

// Returns null if the token is too long or does not consist of three strict base64url parts. Returns null also if the
// header is not an object with a string `alg`, has a duplicate name, has a `typ` other than JWT and at+jwt, or has
// `crit`: no extension that a verifier must understand is supported.
std::optional<Jwt> parse_jwt(std::string_view token);

struct Claims {
  std::optional<std::string> sub;
  std::optional<std::string> iss;
  std::vector<std::string> aud;
  std::optional<std::int64_t> exp;
  std::optional<std::int64_t> nbf;
  std::optional<std::string> stream_id;  // of tickets
  std::optional<std::string> target;     // of migration tickets; other tokens may have a `target` that is no string
};

// Returns null if `payload` is not a JSON object, a name is duplicate, or one of these claims has another type.
std::optional<Claims> parse_claims(std::string_view payload);

// False also if `alg` is not HS256.
bool verify_hs256(const Jwt& jwt, const HmacKey& key);

// Returns a signed token. `claims`: the JSON text of an object.
std::string write_hs256(std::string_view claims, const HmacKey& key);

}  // namespace sealcast::core::token
