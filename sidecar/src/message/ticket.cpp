// Makes and verifies tickets. A ticket is a JWT with a key of its own, derived from the secret, and an audience of its
// own.
#include "message/ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/json.h"
#include "core/digest.h"
#include "core/keyring.h"
#include "core/token/jwt.h"
#include "core/uuid.h"

namespace sealcast::message {
namespace {

constexpr std::string_view kAudience = "sealcast:subscribe";
constexpr std::string_view kKeyPurpose = "sealcast subscription ticket v1";  // the input `info` of HKDF

std::string derive_key(std::string_view secret) {
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr), EVP_KDF_free);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(kdf.get()), EVP_KDF_CTX_free);
  std::string digest = "SHA256", key(secret), purpose(kKeyPurpose);
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

}  // namespace

class TicketIssuer::Impl {
 public:
  explicit Impl(std::string_view secret) : key_(derive_key(secret)) {}

  std::string issue(std::string_view stream_id, const Session& session, std::int64_t expires_at) const {
    std::string claims;
    JsonObject(claims)
        .text("aud", kAudience)
        .text("stream_id", uuid(stream_id))
        .text("sub", uuid(session.user_id))
        .number("session_exp", session.expires_at)
        .number("exp", expires_at)
        .end();
    return core::token::write_hs256(claims, key_);
  }

  std::optional<Session> verify(std::string_view ticket, std::string_view stream_id, std::int64_t now_seconds) const {
    const auto jwt = core::token::parse_jwt(ticket);
    if (!jwt || !core::token::verify_hs256(*jwt, key_)) return std::nullopt;
    const auto claims = core::token::parse_claims(jwt->payload);
    if (!claims || !claims->exp || now_seconds >= *claims->exp || claims->stream_id != stream_id || !claims->sub ||
        std::find(claims->aud.begin(), claims->aud.end(), kAudience) == claims->aud.end()) {
      return std::nullopt;
    }
    return Session{*claims->sub, claims->session_exp.value_or(*claims->exp)};
  }

 private:
  const core::HmacKey key_;
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

void TicketIssuer::replace(std::string_view secret) { impl_ = std::make_unique<Impl>(secret); }

std::string TicketIssuer::issue(std::string_view stream_id, const Session& session, std::int64_t expires_at) const {
  return impl_->issue(stream_id, session, expires_at);
}

std::optional<Session> TicketIssuer::verify(std::string_view ticket, std::string_view stream_id,
                                            std::int64_t now_seconds) const {
  return impl_->verify(ticket, stream_id, now_seconds);
}

}  // namespace sealcast::message
