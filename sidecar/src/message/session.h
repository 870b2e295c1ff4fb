// Verifies sessions: JWTs (RFC 7519) that identify a user. A token is accepted only under the algorithm of a configured
// key, so a token cannot choose a weaker algorithm.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/settings.h"

namespace sealcast::message {

inline constexpr std::int64_t kLeewaySeconds = 5;  // for `exp` and `nbf`: the issuer's clock may differ from ours

struct Session {
  std::string user_id;      // `sub`, a lower-case UUID, not nil
  std::int64_t expires_at;  // `exp`, Unix seconds
};

enum class SessionProblem { missing, invalid, expired };

// Why a token is invalid. The first group concerns tokens that nobody has verified. The reason of the second group may
// be told to the caller, who has a token of the issuer.
enum class InvalidToken {
  none,
  malformed,
  algorithm,
  unknown_key,
  several_keys,
  signature,

  claims,
  no_expiry,
  subject,
  not_yet_valid,
  issuer,
  audience,
};
std::string_view reason_of(InvalidToken invalid);
inline bool is_of_claims(InvalidToken invalid) { return invalid >= InvalidToken::claims; }

struct SessionResult {
  std::optional<Session> session;
  SessionProblem problem;                     // has a meaning only if there is no session
  InvalidToken invalid = InvalidToken::none;  // set if `problem` is `invalid`
};

// Keeps verified tokens in a bounded cache, so that it usually verifies the signature of a token only once. It checks
// `exp` at each call.
class SessionVerifier {
 public:
  // If `hs256_secret` is empty, HS256 is refused. If `settings.jwks_file` is empty, RS256 and ES256 are refused. A
  // token must have `settings.issuer` as `iss` and `settings.audience` in `aud`; an empty setting accepts any value.
  // Throws std::runtime_error, which names the setting and what to do next, if no key is configured, the secret is too
  // short or the JWK Set cannot be used.
  SessionVerifier(std::string_view hs256_secret, const config::Settings::Session& settings);
  ~SessionVerifier();

  SessionResult verify(std::string_view token, std::int64_t now_seconds);

  // Takes other keys and settings, and forgets the tokens that were verified. If it throws, as the constructor does,
  // nothing has changed.
  void replace(std::string_view hs256_secret, const config::Settings::Session& settings);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
