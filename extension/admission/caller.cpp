// Reads the setting request.jwt.claims. All questions about the caller are answered from this one parse, so that they
// never read the same text differently.
#include "admission/caller.h"

#include "admission/batch.h"
#include "core/text_canonicalizer.h"
#include "core/uuid.h"
#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
}

namespace sealcast::admission {

namespace {

constexpr char kClaims[] = "request.jwt.claims";

// The claims that the extension uses. Text that is no strict JSON object, or that has a claim of the wrong type, is
// invalid as a whole: it then names no user and no admin.
struct Claims {
  enum class State { absent, invalid, valid } state = State::absent;
  std::optional<pg_uuid_t> sub;
  std::optional<double> exp;   // seconds since 1970
  bool role_is_user = false;   // the claim `role` is sealcast_user
  const text* json = nullptr;  // the canonical text of valid claims; set on request only
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

void read(std::string_view json, bool keep_json, Claims& claims, core::CancelFlag cancel) {
  claims = {};
  claims.state = Claims::State::invalid;
  server::Scratch canonical;
  core::ThreadScratch lease;
  bool is_object = false;
  try {
    core::canonicalize_members(json, *canonical, core::Rules::claims, cancel, *lease, is_object);
  } catch (const core::Error& error) {
    if (error.kind() == core::ErrorKind::interrupted) throw;
    return;
  }
  if (!is_object) return;
  const std::span<const core::Member> members = (*lease).members;
  const std::string_view sub = value_of(members, *canonical, "sub"), exp = value_of(members, *canonical, "exp"),
                         role = value_of(members, *canonical, "role");
  double seconds = 0;
  if (!exp.empty() && std::from_chars(exp.data(), exp.data() + exp.size(), seconds).ec != std::errc()) return;
  if (!role.empty() && role.front() != '"') return;
  if (!exp.empty()) claims.exp = seconds;
  if (sub.size() > 2 && sub.front() == '"') claims.sub = parse_uuid(sub.substr(1, sub.size() - 2));
  claims.role_is_user = role == "\"sealcast_user\"";
  if (keep_json) claims.json = server::new_varlena(*canonical);
  claims.state = Claims::State::valid;
}

// The claims that were read last: a policy asks for the caller once per row.
struct LastClaims {
  char json[4096];
  std::size_t size = 0;  // 0: none
  Claims claims;
};

Claims read_claims(bool keep_json = false) {
  static LastClaims last;
  const char* const json = GetConfigOption(kClaims, true, false);
  // After SET LOCAL has ended, the setting is empty.
  if (json == nullptr || *json == '\0') return {};
  const std::size_t size = std::strlen(json);
  if (!keep_json && size == last.size && std::memcmp(json, last.json, size) == 0) return last.claims;
  Claims claims;
  server::guarded([&](core::CancelFlag cancel) { read(json, keep_json, claims, cancel); });
  if (!keep_json && size <= sizeof last.json) {
    std::memcpy(last.json, json, size);
    last.size = size;
    last.claims = claims;
  }
  return claims;
}

bool has_expired(const Claims& claims) {
  constexpr double kPostgresEpoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * static_cast<double>(SECS_PER_DAY);
  return claims.exp && *claims.exp <= static_cast<double>(GetCurrentTimestamp()) / USECS_PER_SEC + kPostgresEpoch;
}

}  // namespace

std::optional<pg_uuid_t> caller_id() { return read_claims().sub; }

pg_uuid_t current_sender() {
  const Claims claims = read_claims();
  if (!claims.sub) {
    refuse({.status = 401,
            .code = "unauthenticated",
            .message = "no session",
            .details = claims.state == Claims::State::invalid
                           ? "request.jwt.claims is not a valid JSON object of claims"
                           : "request.jwt.claims has no valid sub; it must be a UUID other than nil",
            .hint = "Sign in and send the session's token."});
  }
  if (has_expired(claims)) {
    refuse({.status = 401,
            .code = "token_expired",
            .message = "the session has expired",
            .hint = "Get a new token, then retry."});
  }
  return *claims.sub;
}

// The outer user is the role of SET ROLE, else the role of the login, also inside SECURITY DEFINER. Claims with the
// role sealcast_user belong to a user, whatever role the gateway has (call_as()).
SEALCAST_FUNCTION(sealcast_is_admin) {
  const Claims claims = read_claims();
  const bool may_be_admin = claims.state == Claims::State::absent ||
                            (claims.state == Claims::State::valid && !claims.role_is_user && !has_expired(claims));
  PG_RETURN_BOOL(may_be_admin && has_privs_of_role(GetOuterUserId(), get_role_oid("sealcast_admin", false)));
}

SEALCAST_FUNCTION(sealcast_claims) {
  const Claims claims = read_claims(true);
  if (claims.json == nullptr) PG_RETURN_NULL();
  return DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(claims.json)));
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
