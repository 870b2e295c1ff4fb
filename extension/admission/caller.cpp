// Reads the claims `sub` (the user's id) and `exp` (the end of the session) from the setting request.jwt.claims,
// without executing SQL.
#include "admission/caller.h"

#include "admission/batch.h"
#include "core/text_canonicalizer.h"
#include "core/uuid.h"
#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "utils/guc.h"
}

namespace sealcast::admission {

namespace {

constexpr char kClaims[] = "request.jwt.claims";

struct Claims {
  std::optional<pg_uuid_t> sub;
  std::optional<double> exp;  // seconds since 1970
};

std::optional<pg_uuid_t> parse_uuid(std::string_view text) {
  std::string lower;
  if (!core::normalize_uuid(text, lower) || lower == core::kNilUuid) return std::nullopt;
  pg_uuid_t uuid;
  const char* at = lower.data();
  for (unsigned char& byte : uuid.data) {
    if (*at == '-') ++at;
    std::from_chars(at, at + 2, byte, 16);
    at += 2;
  }
  return uuid;
}

// Returns the value of a member of the root object as canonical JSON, or an empty text if there is no such member.
// `json` is the canonical document. `name` must not contain characters that JSON escapes, because the value is found
// after "name": by the length of `name`.
std::string_view value_of(std::span<const core::Member> members, std::string_view json, std::string_view name) {
  for (const core::Member& member : members) {
    if (member.key == name) return json.substr(member.begin, member.end - member.begin).substr(name.size() + 3);
  }
  return {};
}

void read(std::string_view json, Claims& claims, core::CancelFlag cancel) {
  server::Scratch canonical;
  core::ThreadScratch lease;
  bool is_object = false;
  try {
    core::canonicalize_members(json, *canonical, core::Numbers::rounded, cancel, *lease, is_object);
  } catch (const core::Error& error) {
    if (error.kind() == core::ErrorKind::interrupted) throw;
    return;  // Invalid JSON is treated as JSON without claims.
  }
  if (!is_object) return;
  const std::span<const core::Member> members = (*lease).members;
  const std::string_view sub = value_of(members, *canonical, "sub"), exp = value_of(members, *canonical, "exp");
  if (sub.size() > 2 && sub.front() == '"') claims.sub = parse_uuid(sub.substr(1, sub.size() - 2));
  double seconds;
  if (std::from_chars(exp.data(), exp.data() + exp.size(), seconds).ec == std::errc()) claims.exp = seconds;
}

Claims read_claims() {
  Claims claims;
  const char* const json = GetConfigOption(kClaims, true, false);
  if (json == nullptr || *json == '\0') return claims;
  server::guarded([&](core::CancelFlag cancel) { read(json, claims, cancel); });
  return claims;
}

}  // namespace

std::optional<pg_uuid_t> caller_id() { return read_claims().sub; }

pg_uuid_t current_sender() {
  const Claims claims = read_claims();
  if (!claims.sub) {
    refuse({.status = 401,
            .code = "unauthenticated",
            .message = "no session",
            .details = "request.jwt.claims has no valid sub; it must be a UUID other than nil",
            .hint = "Sign in and send the session's token."});
  }
  constexpr double kPostgresEpoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * static_cast<double>(SECS_PER_DAY);
  const double now = static_cast<double>(GetCurrentTimestamp()) / USECS_PER_SEC + kPostgresEpoch;
  if (claims.exp && *claims.exp <= now) {
    refuse({.status = 401,
            .code = "token_expired",
            .message = "the session has expired",
            .hint = "Get a new token, then retry."});
  }
  return *claims.sub;
}

SEALCAST_FUNCTION(sealcast_caller_id) {
  const std::optional<pg_uuid_t> id = caller_id();
  if (!id) PG_RETURN_NULL();
  auto* const result = static_cast<pg_uuid_t*>(palloc(sizeof(pg_uuid_t)));
  *result = *id;
  PG_RETURN_UUID_P(result);
}

SEALCAST_FUNCTION(sealcast_current_sender) {
  auto* const result = static_cast<pg_uuid_t*>(palloc(sizeof(pg_uuid_t)));
  *result = current_sender();
  PG_RETURN_UUID_P(result);
}

}  // namespace sealcast::admission
