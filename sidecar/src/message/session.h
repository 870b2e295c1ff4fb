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

struct Session {
  std::string user_id;      // `sub`, a lower-case UUID, not nil
  std::int64_t expires_at;  // `exp`, Unix seconds
};

enum class SessionProblem { missing, invalid, expired };

struct SessionResult {
  std::optional<Session> session;
  SessionProblem problem;  // has a meaning only if there is no session
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

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
