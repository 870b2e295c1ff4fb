// Verifies the signature of a token with a configured key, verifies its claims, and caches verified tokens.
#include "message/session.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "base/generation_cache.h"
#include "base/log.h"
#include "core/digest.h"
#include "core/keyring.h"
#include "core/token/jwt.h"
#include "core/uuid.h"
#include "message/jwks.h"

namespace sealcast::message {
namespace {

constexpr std::int64_t kLeewaySeconds = 5;  // for `exp` and `nbf`: the issuer's clock may differ from ours
constexpr std::size_t kMaxCachedTokens = 65'536;

struct DigestHash {
  std::size_t operator()(const core::Digest& digest) const noexcept {
    std::size_t head;
    std::memcpy(&head, digest.data(), sizeof head);
    return head;
  }
};

SessionResult problem(SessionProblem problem) { return {std::nullopt, problem}; }

}  // namespace

class SessionVerifier::Impl {
 public:
  Impl(std::string_view hs256_secret, const config::Settings::Session& settings)
      : issuer_(settings.issuer), audience_(settings.audience) {
    if (!hs256_secret.empty()) {
      if (hs256_secret.size() < core::kMinSecretBytes) {
        throw std::runtime_error("session.hs256_secret_file: the secret is shorter than " +
                                 std::to_string(core::kMinSecretBytes) +
                                 " bytes; make a new one, for example by `openssl rand -hex 32`");
      }
      hs256_.emplace(hs256_secret);
    }
    if (!settings.jwks_file.empty()) jwks_.emplace(settings.jwks_file);
    if (!hs256_ && !jwks_) {
      throw std::runtime_error("session.hs256_secret_file and session.jwks_file are both empty; set one of them");
    }
  }

  SessionResult verify(std::string_view token, std::int64_t now) {
    if (token.empty()) return problem(SessionProblem::missing);
    if (token.size() > core::token::kMaxTokenBytes) return problem(SessionProblem::invalid);
    // If the keys have changed, drop the cached tokens: a token of a removed key must not be accepted any more.
    if (jwks_ && reload_throttle_.allows() && jwks_->reload_if_changed()) verified_.clear();
    const core::Digest digest = core::sha256(token);
    if (const Session* known = verified_.find_and_keep(digest)) return check_expiry(*known, now);
    const auto session = read(token, now);
    if (!session) return problem(SessionProblem::invalid);
    SessionResult result = check_expiry(*session, now);
    if (result.session) verified_.put(digest, *session);
    return result;
  }

 private:
  static SessionResult check_expiry(const Session& session, std::int64_t now) {
    if (now >= session.expires_at + kLeewaySeconds) return problem(SessionProblem::expired);
    return {session, SessionProblem::missing};
  }

  // Checks everything except whether `exp` has passed. check_expiry() does that afterwards, so that only a token
  // without any other error is reported as expired.
  std::optional<Session> read(std::string_view token, std::int64_t now) const {
    const auto jwt = core::token::parse_jwt(token);
    if (!jwt) return std::nullopt;
    const bool verified =
        jwt->alg == "HS256" ? hs256_ && core::token::verify_hs256(*jwt, *hs256_) : jwks_ && jwks_->verify(*jwt);
    if (!verified) return std::nullopt;
    const auto claims = core::token::parse_claims(jwt->payload);
    if (!claims || !claims->exp || !claims->sub) return std::nullopt;
    if (claims->nbf && now + kLeewaySeconds < *claims->nbf) return std::nullopt;
    if (!issuer_.empty() && claims->iss != issuer_) return std::nullopt;
    if (!audience_.empty() && std::find(claims->aud.begin(), claims->aud.end(), audience_) == claims->aud.end()) {
      return std::nullopt;
    }
    Session session{{}, *claims->exp};
    if (!core::normalize_uuid(*claims->sub, session.user_id) || session.user_id == core::kNilUuid) return std::nullopt;
    return session;
  }

  std::string issuer_;
  std::string audience_;
  std::optional<core::HmacKey> hs256_;
  std::optional<Jwks> jwks_;
  log::Throttle reload_throttle_;  // limits stat() of the JWKS file to once per second
  GenerationCache<core::Digest, Session, DigestHash> verified_{kMaxCachedTokens};
};

SessionVerifier::SessionVerifier(std::string_view hs256_secret, const config::Settings::Session& settings)
    : impl_(std::make_unique<Impl>(hs256_secret, settings)) {}
SessionVerifier::~SessionVerifier() = default;

SessionResult SessionVerifier::verify(std::string_view token, std::int64_t now_seconds) {
  return impl_->verify(token, now_seconds);
}

}  // namespace sealcast::message
