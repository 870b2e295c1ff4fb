// Subscription tickets: JWTs of our own, under a key derived for nothing else and with an audience of their own.
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "core/digest.h"
#include "core/keyring.h"
#include "core/uuid.h"
#include "session/base64url.h"
#include "session/jwt.h"
#include "session/session.h"

namespace sealcast {
namespace {

constexpr std::string_view kAudience = "sealcast:subscribe";
constexpr std::string_view kHeader = R"({"alg":"HS256","typ":"JWT"})";
constexpr std::string_view kPurpose = "sealcast subscription ticket v1";

std::string derive_key(std::string_view secret) {
  const std::unique_ptr<EVP_KDF, decltype(&EVP_KDF_free)> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr), EVP_KDF_free);
  const std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(kdf.get()), EVP_KDF_CTX_free);
  std::string digest = "SHA256", key(secret), purpose(kPurpose);
  const std::array<OSSL_PARAM, 4> parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.data(), key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, purpose.data(), purpose.size()),
      OSSL_PARAM_construct_end()};
  std::string derived(sizeof(Digest), '\0');
  if (!context || EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(derived.data()), derived.size(),
                                 parameters.data()) != 1) {
    throw std::runtime_error("OpenSSL has no HKDF; use an OpenSSL 3 with its default provider");
  }
  return derived;
}

std::string uuid(std::string_view text) {
  std::string lower;
  if (!normalize_uuid(text, lower)) throw std::invalid_argument("a ticket names a stream and a user by UUID");
  return lower;
}

}  // namespace

class TicketIssuer::Impl {
 public:
  explicit Impl(std::string_view secret) : key(derive_key(secret)) { append_base64url(kHeader, header); }
  HmacKey key;
  std::string header;
};

TicketIssuer::TicketIssuer(std::string_view secret) {
  if (secret.size() < kMinSecretBytes) {
    throw std::runtime_error("session.ticket_secret_file: the secret is shorter than " +
                             std::to_string(kMinSecretBytes) +
                             " bytes; make a new one, for example by `openssl rand -hex 32`");
  }
  impl_ = std::make_unique<Impl>(secret);
}
TicketIssuer::~TicketIssuer() = default;

std::string TicketIssuer::issue(std::string_view stream_id, std::string_view user_id, std::int64_t expires_at) const {
  const std::string claims = R"({"aud":")" + std::string(kAudience) + R"(","stream_id":")" + uuid(stream_id) +
                             R"(","sub":")" + uuid(user_id) + R"(","exp":)" + std::to_string(expires_at) + "}";
  std::string ticket = impl_->header + ".";
  append_base64url(claims, ticket);
  const Digest signature = impl_->key.sign(ticket);
  ticket += '.';
  append_base64url({reinterpret_cast<const char*>(signature.data()), signature.size()}, ticket);
  return ticket;
}

std::optional<Session> TicketIssuer::verify(std::string_view ticket, std::string_view stream_id,
                                            std::int64_t now_seconds) const {
  const auto jwt = parse_jwt(ticket);
  if (!jwt || !verify_hs256(*jwt, impl_->key)) return std::nullopt;
  const auto claims = parse_claims(jwt->payload);
  if (!claims || !claims->exp || !claims->sub || now_seconds >= *claims->exp || claims->stream_id != stream_id ||
      std::find(claims->aud.begin(), claims->aud.end(), kAudience) == claims->aud.end()) {
    return std::nullopt;
  }
  return Session{*claims->sub, *claims->exp};
}

}  // namespace sealcast
