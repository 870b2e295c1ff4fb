// The rules that map the statuses and error messages of Supabase Realtime to outcomes.
#include "transport/supabase/outcome.h"

#include <simdjson.h>

#include "transport/outside/http_outcome.h"

namespace sealcast::transport::supabase {
namespace {

using Kind = outside::Outcome::Kind;

constexpr int kSuccess[] = {202};
constexpr std::string_view kPayload = "payload";  // the code that read_error() gives to errors of a payload

constexpr outside::HttpRule kRules[] = {
    {.status = 413, .kind = Kind::dead},  // the body is larger than the limit of the server
    {.status = 422, .code = kPayload, .kind = Kind::dead},
    // The database of the Supabase project causes these errors of private broadcasts, so all topics would fail.
    {.status = 422, .message = "Tenant database", .kind = Kind::retry_transport},
    {.status = 422, .message = "Missing messages partition", .kind = Kind::retry_transport},
    {.status = 422, .message = "Connect rate limit", .kind = Kind::retry_transport},
    {.status = 422, .kind = Kind::retry_stream},
    {.status = 403, .message = "Tenant is suspended", .kind = Kind::retry_transport},
    {.status = 403, .kind = Kind::retry_stream},  // a policy of the project refuses this topic
    {.status = 400, .kind = Kind::retry_stream},
    {.status = 500, .kind = Kind::retry_stream},
    // No rule applies to the other statuses, so their kind is retry_transport: their causes affect all topics.
    // 401: the key is wrong, or Realtime has no such project. 404: this version of Realtime has no such endpoint, or
    // the server is not Realtime. 429: the rate limit of the project, not of the topic. 502 to 504: Realtime is
    // unavailable. Any other status, such as 200: the server is not Realtime.
};

// Realtime finds the project by the host name of the request, before it looks at the key
// (lib/realtime_web/plugs/assign_tenant.ex answers 401 "Tenant not found in database").
constexpr outside::HttpHint kHints[] = {
    {401,
     "this Realtime has no such project: check that the host name in supabase.url begins with the reference of the "
     "project (https://PROJECT.supabase.co/realtime/v1), or with the name of the tenant of your own Realtime",
     "Tenant not found"},
    {401, "check that supabase.key_file contains the secret key of the project"},
    {404, "check that supabase.url is the URL of Realtime 2.97 or newer"},
    {429,
     "Realtime counts each broadcast and each delivery to a reader as an event; compare sealcast_supabase_events_total "
     "with the project's limit of events per second"},
};

// Reads the error from a body of the form {"message":"…"} or {"errors":{"payload":["…"]}}.
outside::HttpError read_error(const client::http::Answer& answer) {
  outside::HttpError error;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(answer.body).get(root) != simdjson::SUCCESS) return error;
  std::string_view text;
  if (root["errors"]["payload"].at(0).get(text) == simdjson::SUCCESS) {
    error.code = kPayload;
    error.message = client::http::one_line(text);
  } else if (root["message"].get(text) == simdjson::SUCCESS) {
    error.message = client::http::one_line(text);
  }
  return error;
}

}  // namespace

outside::Outcome outcome_of(const client::http::Answer& answer) {
  return outside::http_outcome(answer,
                               {.success = kSuccess, .rules = kRules, .read_error = read_error, .hints = kHints});
}

}  // namespace sealcast::transport::supabase
