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

constexpr std::size_t kMaxCachedTokens = 65'536;

struct DigestHash {
  std::size_t operator()(const core::Digest& digest) const noexcept {
    std::size_t head;
    std::memcpy(&head, digest.data(), sizeof head);
    return head;
  }
};

SessionResult problem(SessionProblem problem) { return {std::nullopt, problem, InvalidToken::none}; }
SessionResult invalid(InvalidToken reason) { return {std::nullopt, SessionProblem::invalid, reason}; }

InvalidToken invalid_of(Jwks::Outcome outcome) {
  switch (outcome) {
    case Jwks::Outcome::verified:
      return InvalidToken::none;
    case Jwks::Outcome::unknown_key:
      return InvalidToken::unknown_key;
    case Jwks::Outcome::several_keys:
      return InvalidToken::several_keys;
    case Jwks::Outcome::bad_signature:
      break;
  }
  return InvalidToken::signature;
}

}  // namespace

std::string_view reason_of(InvalidToken invalid) {
  switch (invalid) {
    case InvalidToken::none:
      break;
    case InvalidToken::malformed:
      return "it is no JWT, or its header is not valid";
    case InvalidToken::algorithm:
      return "no key of its algorithm is configured";
    case InvalidToken::unknown_key:
      return "no key has its kid and its algorithm";
    case InvalidToken::several_keys:
      return "it has no kid, and several keys have its algorithm";
    case InvalidToken::signature:
      return "its signature is not that of the key";
    case InvalidToken::claims:
      return "the claims are no JSON object, or one of them has a wrong type or stands twice";
    case InvalidToken::no_expiry:
      return "the claim exp is missing";
    case InvalidToken::subject:
      return "the claim sub is not a UUID, or is nil";
    case InvalidToken::not_yet_valid:
      return "the claim nbf is in the future";
    case InvalidToken::issuer:
      return "the claim iss is not session.issuer";
    case InvalidToken::audience:
      return "the claim aud does not contain session.audience";
  }
  return "";
}

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
    if (token.size() > core::token::kMaxTokenBytes) return invalid(InvalidToken::malformed);
    // If the keys have changed, drop the cached tokens: a token of a removed key must not be accepted any more.
    if (jwks_ && reload_throttle_.allows() && jwks_->reload_if_changed()) verified_.clear();
    const core::Digest digest = core::sha256(token);
    if (const Session* known = verified_.find_and_keep(digest)) return check_expiry(*known, now);
    Session session{};
    if (const InvalidToken reason = read(token, now, session); reason != InvalidToken::none) return invalid(reason);
    SessionResult result = check_expiry(session, now);
    if (result.session) verified_.put(digest, session);
    return result;
  }

 private:
  static SessionResult check_expiry(const Session& session, std::int64_t now) {
    if (now >= session.expires_at + kLeewaySeconds) return problem(SessionProblem::expired);
    return {session, SessionProblem::missing, InvalidToken::none};
  }

  // Checks everything except whether `exp` has passed. check_expiry() does that afterwards, so that only a token
  // without any other error is reported as expired.
  InvalidToken read(std::string_view token, std::int64_t now, Session& session) const {
    const auto jwt = core::token::parse_jwt(token);
    if (!jwt) return InvalidToken::malformed;
    if (const InvalidToken problem = verify_signature(*jwt); problem != InvalidToken::none) return problem;
    const auto claims = core::token::parse_claims(jwt->payload);
    if (!claims) return InvalidToken::claims;
    if (!claims->exp) return InvalidToken::no_expiry;
    if (claims->nbf && now + kLeewaySeconds < *claims->nbf) return InvalidToken::not_yet_valid;
    if (!issuer_.empty() && claims->iss != issuer_) return InvalidToken::issuer;
    if (!audience_.empty() && std::find(claims->aud.begin(), claims->aud.end(), audience_) == claims->aud.end()) {
      return InvalidToken::audience;
    }
    session.expires_at = *claims->exp;
    if (!claims->sub || !core::normalize_uuid(*claims->sub, session.user_id) || session.user_id == core::kNilUuid) {
      return InvalidToken::subject;
    }
    return InvalidToken::none;
  }

  InvalidToken verify_signature(const core::token::Jwt& jwt) const {
    if (jwt.alg == "HS256") {
      if (!hs256_) return InvalidToken::algorithm;
      return core::token::verify_hs256(jwt, *hs256_) ? InvalidToken::none : InvalidToken::signature;
    }
    if (!jwks_ || (jwt.alg != "RS256" && jwt.alg != "ES256")) return InvalidToken::algorithm;
    return invalid_of(jwks_->verify(jwt));
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

void SessionVerifier::replace(std::string_view hs256_secret, const config::Settings::Session& settings) {
  impl_ = std::make_unique<Impl>(hs256_secret, settings);
}

SessionResult SessionVerifier::verify(std::string_view token, std::int64_t now_seconds) {
  return impl_->verify(token, now_seconds);
}

}  // namespace sealcast::message
