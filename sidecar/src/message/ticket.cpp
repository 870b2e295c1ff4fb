// Makes and verifies both kinds of tickets: subscription tickets and migration tickets. Both are JWTs. Each kind has
// its own key, derived from the secret, and its own audience.
#include "message/ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "core/digest.h"
#include "core/keyring.h"
#include "core/token/jwt.h"
#include "core/uuid.h"

namespace sealcast::message {
namespace {

struct Kind {
  std::string_view audience;
  std::string_view key_purpose;  // the input `info` of HKDF, so that each kind gets another key
};
constexpr Kind kSubscription{"sealcast:subscribe", "sealcast subscription ticket v1"};
constexpr Kind kMigration{"sealcast:migrate", "sealcast migration ticket v1"};

std::string derive_key(std::string_view secret, std::string_view key_purpose) {
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr), EVP_KDF_free);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(kdf.get()), EVP_KDF_CTX_free);
  std::string digest = "SHA256", key(secret), purpose(key_purpose);
  const std::array<OSSL_PARAM, 4> parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.data(), key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, purpose.data(), purpose.size()),
      OSSL_PARAM_construct_end()};
  std::string derived(sizeof(core::Digest), '\0');
  if (!context || EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(derived.data()), derived.size(),
                                 parameters.data()) != 1) {
    throw std::runtime_error("OpenSSL cannot derive a key by HKDF; use OpenSSL 3 with its default provider");
  }
  return derived;
}

std::string uuid(std::string_view text) {
  std::string lower;
  if (!core::normalize_uuid(text, lower))
    throw std::invalid_argument("the stream and the user of a ticket must be UUIDs");
  return lower;
}

class Tickets {
 public:
  Tickets(std::string_view secret, const Kind& kind) : kind_(kind), key_(derive_key(secret, kind.key_purpose)) {}

  // `name` and `value` form the one claim that the other kind does not have. `value` must not need JSON escapes.
  std::string issue(std::string_view stream_id, std::string_view name, std::string_view value,
                    std::int64_t expires_at) const {
    std::string claims = R"({"aud":")";
    claims.append(kind_.audience).append(R"(","stream_id":")").append(uuid(stream_id)).append(R"(",")").append(name);
    claims.append(R"(":")").append(value).append(R"(","exp":)").append(std::to_string(expires_at)).append("}");
    return core::token::write_hs256(claims, key_);
  }

  // Returns the claims if the ticket is of this kind, is for that stream and has not expired. Otherwise returns
  // nullopt.
  std::optional<core::token::Claims> verify(std::string_view ticket, std::string_view stream_id,
                                            std::int64_t now_seconds) const {
    const auto jwt = core::token::parse_jwt(ticket);
    if (!jwt || !core::token::verify_hs256(*jwt, key_)) return std::nullopt;
    auto claims = core::token::parse_claims(jwt->payload);
    if (!claims || !claims->exp || now_seconds >= *claims->exp || claims->stream_id != stream_id ||
        std::find(claims->aud.begin(), claims->aud.end(), kind_.audience) == claims->aud.end()) {
      return std::nullopt;
    }
    return claims;
  }

 private:
  const Kind& kind_;
  const core::HmacKey key_;
};

}  // namespace

class TicketIssuer::Impl {
 public:
  explicit Impl(std::string_view secret) : subscriptions(secret, kSubscription), migrations(secret, kMigration) {}
  Tickets subscriptions;
  Tickets migrations;
};

TicketIssuer::TicketIssuer(std::string_view secret) {
  if (secret.size() < core::kMinSecretBytes) {
    throw std::runtime_error("session.ticket_secret_file: the secret is shorter than " +
                             std::to_string(core::kMinSecretBytes) +
                             " bytes; make a new one, for example by `openssl rand -hex 32`");
  }
  impl_ = std::make_unique<Impl>(secret);
}
TicketIssuer::~TicketIssuer() = default;

std::string TicketIssuer::issue(std::string_view stream_id, std::string_view user_id, std::int64_t expires_at) const {
  return impl_->subscriptions.issue(stream_id, "sub", uuid(user_id), expires_at);
}

std::optional<Session> TicketIssuer::verify(std::string_view ticket, std::string_view stream_id,
                                            std::int64_t now_seconds) const {
  const auto claims = impl_->subscriptions.verify(ticket, stream_id, now_seconds);
  if (!claims || !claims->sub) return std::nullopt;
  return Session{*claims->sub, *claims->exp};
}

std::string TicketIssuer::issue_migration(std::string_view stream_id, std::string_view target,
                                          std::int64_t expires_at) const {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  if (target.empty() || !std::all_of(target.begin(), target.end(), is_plain)) {
    throw std::invalid_argument("the target of a migration ticket must be the name of a transport");
  }
  return impl_->migrations.issue(stream_id, "target", target, expires_at);
}

bool TicketIssuer::verify_migration(std::string_view ticket, std::string_view stream_id, std::string_view target,
                                    std::int64_t now_seconds) const {
  const auto claims = impl_->migrations.verify(ticket, stream_id, now_seconds);
  return claims && claims->target == target;
}

}  // namespace sealcast::message
