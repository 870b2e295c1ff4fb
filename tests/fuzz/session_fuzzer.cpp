// Verifies the input as a token, and as the header and the claims of a signed token. A token must be a session only if
// a configured key has signed it, it names a user, and it has not expired. A session must not be accepted as a ticket.
#include <array>
#include <fstream>
#include <iterator>
#include <string>

#include "core/canonical_json.h"
#include "core/error.h"
#include "core/token/base64.h"
#include "core/token/jwt.h"
#include "core/uuid.h"
#include "fuzz.h"
#include "message/session.h"
#include "message/ticket.h"

namespace sealcast::fuzz {
namespace {

constexpr std::int64_t kNow = 1'700'000'000;
constexpr char kStream[] = "11111111-2222-4333-8444-555555555555";
const std::string kSecret = "0123456789abcdef0123456789abcdef";
const std::string kOther = "another secret: 0123456789abcdef";
const std::string kKeySet = SEALCAST_FUZZ_FILES "/session/jwks.json";

config::Settings::Session session_settings(const std::string& issuer = {}, const std::string& audience = {}) {
  config::Settings::Session settings{};
  settings.jwks_file = kKeySet;
  settings.issuer = issuer;
  settings.audience = audience;
  return settings;
}

// Returns the part of a token that the signature covers.
std::string signed_part(std::string_view token) { return std::string(token.substr(0, token.rfind('.'))); }

// Returns the signed parts of the two tokens that were issued under the key set. The private keys have been deleted, so
// no other token can have a valid signature.
const std::array<std::string, 2>& issued() {
  static const auto parts = [] {
    std::array<std::string, 2> read;
    std::size_t i = 0;
    for (const char* file : {SEALCAST_FUZZ_FILES "/session/rs256.jwt", SEALCAST_FUZZ_FILES "/session/es256.jwt"}) {
      std::ifstream in(file, std::ios::binary);
      const std::string token{std::istreambuf_iterator<char>(in), {}};
      message::SessionVerifier verifier("", session_settings());
      require(verifier.verify(token, kNow).session.has_value(), "an issued token is a session");
      read[i++] = signed_part(token);
    }
    return read;
  }();
  return parts;
}

std::string sign(std::string_view header, std::string_view claims, const std::string& secret) {
  std::string token;
  core::token::append_base64url(header, token);
  token += '.';
  core::token::append_base64url(claims, token);
  const core::Digest mac = core::HmacKey(secret).sign(token);
  token += '.';
  core::token::append_base64url({reinterpret_cast<const char*>(mac.data()), mac.size()}, token);
  return token;
}

// Canonicalises the object, and returns its text from the value of the member `name` to the end. Returns an empty text
// if there is no such member.
std::string member(std::string_view json, const std::string& name) {
  std::string canonical;
  try {
    core::canonicalize(json, canonical);
  } catch (const core::Error&) {
    return {};
  }
  const std::string quoted = "\"" + name + "\":";
  const std::size_t at = canonical.find(quoted);
  return at == canonical.npos ? std::string() : canonical.substr(at + quoted.size());
}

void require_user(const message::Session& session, std::string_view claims) {
  std::string lower;
  require(core::normalize_uuid(session.user_id, lower) && lower == session.user_id && lower != core::kNilUuid,
          "a session has a user id in lower case that is not nil");
  require(session.expires_at + 5 > kNow, "a session has not expired");
  require(!member(claims, "exp").empty(), "a session's token has exp");
}

}  // namespace

void check(std::string_view bytes) {
  static message::SessionVerifier by_secret(kSecret, {});
  static message::SessionVerifier by_other(kOther, {});
  static message::SessionVerifier by_keys("", session_settings());
  static message::SessionVerifier by_both(kSecret, session_settings("issuer", "audience"));
  static const message::TicketIssuer tickets(kSecret);

  require(!by_secret.verify(bytes, kNow).session, "without the secret there is no session");
  if (by_keys.verify(bytes, kNow).session) {
    const std::string part = signed_part(bytes);
    require(part == issued()[0] || part == issued()[1], "without a private key there is no session");
  }
  require(!tickets.verify(bytes, kStream, kNow),
          "without the secret there is no ticket");

  std::string_view claims = bytes;
  const std::string_view header = next_line(claims);
  const std::string token = sign(header, claims, kSecret);
  require(!by_other.verify(token, kNow).session, "a token under another secret is not a session");
  require(!by_keys.verify(token, kNow).session,
          "a token under a secret is not a session if only public keys are configured");
  require(!by_secret.verify(signed_part(token) + ".", kNow).session, "a token without a signature is not a session");
  require(!tickets.verify(token, kStream, kNow),
          "a session is not a ticket, although both have the same secret");
  if (const auto session = by_secret.verify(token, kNow).session) {
    require(member(header, "alg").starts_with("\"HS256\""), "a session under a secret has the algorithm HS256");
    require_user(*session, claims);
  }
  if (const auto session = by_both.verify(token, kNow).session) {
    require(member(claims, "iss").starts_with("\"issuer\""), "a session has the configured issuer");
    require(member(claims, "aud").find("\"audience\"") != std::string::npos, "a session has the configured audience");
    require(by_secret.verify(token, kNow).session.has_value(), "issuer and audience only add conditions");
  }
}

}  // namespace sealcast::fuzz
