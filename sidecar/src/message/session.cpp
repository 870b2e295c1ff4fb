// Verifying sessions: signature by a pinned key, then claims, then a cache so that a client pays once per token.
#include "message/session.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <unordered_map>

#include "base/log.h"
#include "core/digest.h"
#include "core/keyring.h"
#include "core/token/jwt.h"
#include "core/uuid.h"
#include "message/jwks.h"

namespace sealcast::message {
namespace {

constexpr std::int64_t kLeewaySeconds = 5;  // clocks of two machines
constexpr std::size_t kMaxCached = 65'536;

struct DigestHash {
  std::size_t operator()(const core::Digest& digest) const noexcept {
    std::size_t head;
    std::memcpy(&head, digest.data(), sizeof head);
    return head;
  }
};

// Verified tokens in two generations: what was used since the last turn survives the next.
class TokenCache {
 public:
  const Session* find(const core::Digest& token) {
    if (const auto found = young_.find(token); found != young_.end()) return &found->second;
    const auto found = old_.find(token);
    if (found == old_.end()) return nullptr;
    Session session = std::move(found->second);
    old_.erase(found);
    return put(token, std::move(session));
  }

  const Session* put(const core::Digest& token, Session session) {
    if (young_.size() >= kMaxCached / 2) {
      old_ = std::move(young_);
      young_.clear();
    }
    return &young_.insert_or_assign(token, std::move(session)).first->second;
  }

  void clear() {
    young_.clear();
    old_.clear();
  }

 private:
  using Generation = std::unordered_map<core::Digest, Session, DigestHash>;
  Generation young_;
  Generation old_;
};

SessionResult problem(SessionProblem problem) { return {std::nullopt, problem}; }

}  // namespace

class SessionVerifier::Impl {
 public:
  explicit Impl(SessionSettings settings) : issuer_(settings.issuer), audience_(settings.audience) {
    if (!settings.hs256_secret.empty()) {
      if (settings.hs256_secret.size() < core::kMinSecretBytes) {
        throw std::runtime_error("session.hs256_secret_file: the secret is shorter than " +
                                 std::to_string(core::kMinSecretBytes) +
                                 " bytes; make a new one, for example by `openssl rand -hex 32`");
      }
      hs256_.emplace(settings.hs256_secret);
    }
    if (!settings.jwks_file.empty()) jwks_.emplace(settings.jwks_file);
    if (!hs256_ && !jwks_) {
      throw std::runtime_error("session.hs256_secret_file and session.jwks_file are both empty; set one of them");
    }
  }

  SessionResult verify(std::string_view token, std::int64_t now) {
    if (token.empty()) return problem(SessionProblem::missing);
    if (token.size() > core::token::kMaxTokenBytes) return problem(SessionProblem::invalid);
    // A key that was taken out must stop working, whatever the cache remembers.
    if (jwks_ && looks_.allows() && jwks_->reload_if_changed()) cache_.clear();
    const core::Digest digest = core::sha256(token);
    if (const Session* known = cache_.find(digest)) return in_time(*known, now);
    const auto session = read(token, now);
    if (!session) return problem(SessionProblem::invalid);
    SessionResult result = in_time(*session, now);
    if (result.session) cache_.put(digest, *session);
    return result;
  }

 private:
  static SessionResult in_time(const Session& session, std::int64_t now) {
    if (now >= session.expires_at + kLeewaySeconds) return problem(SessionProblem::expired);
    return {session, SessionProblem::missing};
  }

  // Everything but `exp`, which is told apart only for tokens that are otherwise good.
  std::optional<Session> read(std::string_view token, std::int64_t now) const {
    const auto jwt = core::token::parse_jwt(token);
    if (!jwt) return std::nullopt;
    const bool genuine =
        jwt->alg == "HS256" ? hs256_ && core::token::verify_hs256(*jwt, *hs256_) : jwks_ && jwks_->verify(*jwt);
    if (!genuine) return std::nullopt;
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
  log::Throttle looks_;  // at the JWKS file
  TokenCache cache_;
};

SessionVerifier::SessionVerifier(SessionSettings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {}
SessionVerifier::~SessionVerifier() = default;

SessionResult SessionVerifier::verify(std::string_view token, std::int64_t now_seconds) {
  return impl_->verify(token, now_seconds);
}

}  // namespace sealcast::message
