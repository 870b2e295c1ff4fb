// Sessions: who is asking, from a JWT (RFC 7519). The algorithm is pinned by the configured key, never the token's.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sealcast::message {

struct Session {
  std::string user_id;      // `sub`, a lower-case UUID, not nil
  std::int64_t expires_at;  // `exp`, Unix seconds
};

enum class SessionProblem { missing, invalid, expired };

struct SessionResult {
  std::optional<Session> session;
  SessionProblem problem;  // when there is no session
};

struct SessionSettings {
  std::string hs256_secret;  // empty: HS256 is off
  std::string jwks_file;     // RS256 and ES256 keys; empty: off
  std::string issuer;        // required `iss`; empty: any
  std::string audience;      // required `aud`; empty: any
};

// Verifies tokens, remembering verified ones until `exp` (a bounded cache).
class SessionVerifier {
 public:
  // Throws std::runtime_error naming the key of the settings and the fix.
  explicit SessionVerifier(SessionSettings settings);
  ~SessionVerifier();

  SessionResult verify(std::string_view token, std::int64_t now_seconds);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
