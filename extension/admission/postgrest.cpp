// PostgREST answers SQLSTATE PGRST with the code, message, details and hint of the JSON in MESSAGE, and with the status
// and the headers of the JSON in DETAIL: parseRaisePGRST in PostgREST/postgrest, src/PostgREST/Error.hs, since version
// 12.0.0. It sends no header of its own for these. A value of `headers` must be a string.
#include "admission/postgrest.h"

#include "core/retry_headers.h"
#include "server/datum.h"
#include "server/settings.h"

extern "C" {
#include "lib/stringinfo.h"
#include "utils/guc.h"
#include "utils/json.h"
}

namespace sealcast::admission::postgrest {

namespace {

bool is_set(const char* setting) {
  const char* const value = GetConfigOption(setting, true, false);
  // After SET LOCAL has ended, the setting is empty.
  return value != nullptr && *value != '\0';
}

// Writes a JSON object of strings.
class Object {
 public:
  Object() { initStringInfo(&json_); }
  void add(const char* name, const char* value) {
    begin(name);
    if (value == nullptr) {
      appendStringInfoString(&json_, "null");
    } else {
      escape_json(&json_, value);
    }
  }
  // `value` is JSON.
  void add_json(const char* name, const char* value) {
    begin(name);
    appendStringInfoString(&json_, value);
  }
  const char* end() {
    appendStringInfoString(&json_, json_.len == 0 ? "{}" : "}");
    return json_.data;
  }

 private:
  void begin(const char* name) {
    appendStringInfoChar(&json_, json_.len == 0 ? '{' : ',');
    escape_json(&json_, name);
    appendStringInfoChar(&json_, ':');
  }

  StringInfoData json_;
};

// Returns the headers that the sidecar's HTTP API sends with the same refusal.
const char* headers_of(const Verdict& refusal, const std::optional<Rate>& exceeded) {
  Object headers;
  if (exceeded) {
    const std::string_view policy = server::view(exceeded->t);
    headers.add("RateLimit-Policy", core::HeaderValue::rate_limit_policy(policy, exceeded->limit).c_str());
    headers.add("RateLimit", core::HeaderValue::rate_limit(policy, 0).c_str());
  }
  if (refusal.retry_after_ms.value_or(0) > 0) {
    headers.add("Retry-After", core::HeaderValue::retry_after(*refusal.retry_after_ms).c_str());
  }
  if (refusal.status == 401) headers.add("WWW-Authenticate", "Bearer");
  return headers.end();
}

}  // namespace

// PostgREST sets request.method and request.path for each request, in its transaction: src/PostgREST/Query.hs, and
// since version 14 src/PostgREST/Query/PreQuery.hs. Versions before 12 answer every PGRST with 400. Of these, 11.1
// and 11.2 have their version in application_name, unless the connection string has another name:
// src/PostgREST/Config.hs.
bool is_calling() {
  return server::settings::postgrest_errors && is_set("request.method") && is_set("request.path") &&
         !std::string_view(application_name == nullptr ? "" : application_name).starts_with("PostgREST 11.");
}

void refuse(const Verdict& refusal, const std::optional<Rate>& exceeded) {
  Object message;
  message.add("code", refusal.code);
  message.add("message", refusal.message);
  message.add("details", refusal.details);
  message.add("hint", refusal.hint);
  Object detail;
  detail.add_json("status", psprintf("%d", refusal.status));
  detail.add_json("headers", headers_of(refusal, exceeded));
  ereport(ERROR, (errcode(MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')), errmsg_internal("%s", message.end()),
                  errdetail_internal("%s", detail.end())));
  pg_unreachable();
}

}  // namespace sealcast::admission::postgrest
