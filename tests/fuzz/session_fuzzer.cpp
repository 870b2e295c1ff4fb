// Any bytes as a token, and as the header and the claims of one that is signed: a session is only what was issued under
// a key of ours, for a user, and not over; and no kind of token stands for another.
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

// Of a token, what its signature covers.
std::string signed_part(std::string_view token) { return std::string(token.substr(0, token.rfind('.'))); }

// Of the tokens that the key set's owner has issued: it took its private keys along.
const std::array<std::string, 2>& issued() {
  static const auto parts = [] {
    std::array<std::string, 2> read;
    std::size_t i = 0;
    for (const char* file : {SEALCAST_FUZZ_FILES "/session/rs256.jwt", SEALCAST_FUZZ_FILES "/session/es256.jwt"}) {
      std::ifstream in(file, std::ios::binary);
      const std::string token{std::istreambuf_iterator<char>(in), {}};
      message::SessionVerifier verifier("", session_settings());
      require(verifier.verify(token, kNow).session.has_value(), "what was issued is a session");
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

// The member's text in an object that has it once; empty when it has not.
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
          "a session is a user's");
  require(session.expires_at + 5 > kNow, "a session is not over");
  require(!member(claims, "exp").empty(), "a session says until when");
}

}  // namespace

void check(std::string_view bytes) {
  static message::SessionVerifier by_secret(kSecret, {});
  static message::SessionVerifier by_other(kOther, {});
  static message::SessionVerifier by_keys("", session_settings());
  static message::SessionVerifier by_both(kSecret, session_settings("issuer", "audience"));
  static const message::TicketIssuer tickets(kSecret);

  require(!by_secret.verify(bytes, kNow).session, "nobody can make a session without the secret");
  if (by_keys.verify(bytes, kNow).session) {
    const std::string part = signed_part(bytes);
    require(part == issued()[0] || part == issued()[1], "nobody can make a session without the private key");
  }
  require(!tickets.verify(bytes, kStream, kNow) && !tickets.verify_migration(bytes, kStream, "mqtt", kNow),
          "nobody can make a ticket");

  std::string_view claims = bytes;
  const std::string_view header = next_line(claims);
  const std::string token = sign(header, claims, kSecret);
  require(!by_other.verify(token, kNow).session, "another secret's token is no session");
  require(!by_keys.verify(token, kNow).session, "a secret's token is no session where there are only public keys");
  require(!by_secret.verify(signed_part(token) + ".", kNow).session, "a token without a signature is no session");
  require(!tickets.verify(token, kStream, kNow) && !tickets.verify_migration(token, kStream, "mqtt", kNow),
          "a session's secret signs no tickets");
  if (const auto session = by_secret.verify(token, kNow).session) {
    require(member(header, "alg").starts_with("\"HS256\""), "the algorithm is the key's, and the token says so");
    require_user(*session, claims);
  }
  if (const auto session = by_both.verify(token, kNow).session) {
    require(member(claims, "iss").starts_with("\"issuer\""), "a session is the issuer's");
    require(member(claims, "aud").find("\"audience\"") != std::string::npos, "a session is for this audience");
    require(by_secret.verify(token, kNow).session.has_value(), "more is asked for, not less");
  }
}

}  // namespace sealcast::fuzz
