// JWTs in compact form (RFC 7515, RFC 7519): taken apart but not yet believed, and written with HS256.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"

namespace sealcast::core::token {

inline constexpr std::size_t kMaxTokenBytes = 8192;

struct Jwt {
  std::string_view signed_part;  // header.payload, of the token that was parsed
  std::string payload;
  std::string signature;
  std::string alg;
  std::optional<std::string> kid;
};

// Null when it is too long, not three strict base64url parts, or its header is no object with a string `alg`, has a
// name twice, has a `typ` other than JWT and at+jwt, or has `crit`: an extension that must be understood is not.
std::optional<Jwt> parse_jwt(std::string_view token);

struct Claims {
  std::optional<std::string> sub;
  std::optional<std::string> iss;
  std::vector<std::string> aud;
  std::optional<std::int64_t> exp;
  std::optional<std::int64_t> nbf;
  std::optional<std::string> stream_id;  // of tickets
  std::optional<std::string> target;     // of migration tickets; what is no string is somebody else's
};

// Null when it is no JSON object, or one of these claims stands twice or has another type.
std::optional<Claims> parse_claims(std::string_view payload);

bool verify_hs256(const Jwt& jwt, const HmacKey& key);

// `claims`: the JSON text of an object.
std::string write_hs256(std::string_view claims, const HmacKey& key);

}  // namespace sealcast::core::token
