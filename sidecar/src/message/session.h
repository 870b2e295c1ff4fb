// Verifies sessions: JWTs (RFC 7519) that identify a user. The configured keys decide the algorithm, never the token.
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
  SessionProblem problem;  // only if there is no session
};

// Remembers verified tokens until `exp`, in a bounded cache: a client pays for the signature once per token.
class SessionVerifier {
 public:
  // Without `hs256_secret` HS256 is off, without `settings.jwks_file` RS256 and ES256 are off. `settings.issuer` and
  // `settings.audience` are the required `iss` and `aud`; empty accepts any.
  // Throws std::runtime_error, which names the setting and what to do next.
  SessionVerifier(std::string_view hs256_secret, const config::Settings::Session& settings);
  ~SessionVerifier();

  SessionResult verify(std::string_view token, std::int64_t now_seconds);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
