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
  std::string_view signed_part;  // header.payload: a view into the text given to parse_jwt()
  std::string payload;
  std::string signature;
  std::string alg;
  std::optional<std::string> kid;
};

// Returns nullopt if the token is longer than kMaxTokenBytes, or does not consist of three strict base64url parts.
// Returns nullopt if the header is not an object with a non-empty string `alg`, has a duplicate name, has a `kid` that
// is not a string, has a `typ` other than JWT and at+jwt (in upper or lower case, with or without the prefix
// application/), or has `crit`. `crit` lists extensions that a verifier must understand, and none is supported.
std::optional<Jwt> parse_jwt(std::string_view token);

struct Claims {
  std::optional<std::string> sub;
  std::optional<std::string> iss;
  std::vector<std::string> aud;
  std::optional<std::int64_t> exp;
  std::optional<std::int64_t> nbf;
  std::optional<std::string> stream_id;     // only in tickets
  std::optional<std::int64_t> session_exp;  // only in tickets: when the user's session expires; ignored if no number
};

// Returns nullopt if `payload` is not a JSON object, has a duplicate name, or has one of these claims (except
// `session_exp`) with another type. `aud` may be a string or an array of strings.
std::optional<Claims> parse_claims(std::string_view payload);

// Returns whether `key` made the signature with HS256. Returns false if `alg` is not HS256.
bool verify_hs256(const Jwt& jwt, const HmacKey& key);

// Returns a signed token. `claims`: the JSON text of an object.
std::string write_hs256(std::string_view claims, const HmacKey& key);

}  // namespace sealcast::core::token
