// Realtime's statuses and refusals.
#include "transport/supabase/verdict.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace sealcast::transport::supabase {
namespace {

using Kind = outside::Outcome::Kind;

// What a refusal says: {"message":"…"} or {"errors":{"payload":["…"]}}.
struct Refusal {
  std::string message;
  bool payload = false;
};

Refusal read_refusal(const std::string& body) {
  Refusal refusal;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(body).get(root) != simdjson::SUCCESS) return refusal;
  std::string_view text;
  if (root["errors"]["payload"].at(0).get(text) == simdjson::SUCCESS) {
    refusal.payload = true;
    refusal.message = client::http::one_line(text);
  } else if (root["message"].get(text) == simdjson::SUCCESS) {
    refusal.message = client::http::one_line(text);
  }
  return refusal;
}

// Refusals of private broadcasts whose cause is the project's database, so that no other topic would fare better.
bool names_the_database(std::string_view message) {
  constexpr std::array<std::string_view, 3> kBeginnings = {"Tenant database", "Missing messages partition",
                                                           "Connect rate limit"};
  return std::any_of(kBeginnings.begin(), kBeginnings.end(), [&](auto text) { return message.starts_with(text); });
}

Kind kind_of(int status, const Refusal& refusal) {
  switch (status) {
    case 202:
      return Kind::done;
    case 413:  // the body is over what the server reads
      return Kind::dead;
    case 422:
      if (refusal.payload) return Kind::dead;
      return names_the_database(refusal.message) ? Kind::retry_transport : Kind::retry_stream;
    case 403:  // a policy of this topic, or the whole project
      return refusal.message == "Tenant is suspended" ? Kind::retry_transport : Kind::retry_stream;
    case 400:
    case 500:
      return Kind::retry_stream;
    default:
      // 401: our key. 404: a Realtime without this endpoint, or no Realtime. 429: the rate is the project's, not the
      // topic's. 502 to 504: nobody is there. Anything else, a success that is not 202 too: that is no Realtime.
      return Kind::retry_transport;
  }
}

}  // namespace

outside::Outcome outcome_of(const client::http::Answer& answer) {
  if (answer.status == 0) return {.kind = Kind::retry_transport, .reason = answer.failure};
  const Refusal refusal = answer.status == 202 ? Refusal() : read_refusal(answer.body);
  outside::Outcome outcome{.kind = kind_of(answer.status, refusal), .after = answer.retry_after, .reason = {}};
  if (outcome.kind == Kind::done) return outcome;
  outcome.reason = "it answered " + std::to_string(answer.status);
  if (!refusal.message.empty()) outcome.reason += ": " + refusal.message;
  if (answer.status == 401) outcome.reason += "; see that supabase.key_file holds the project's secret key";
  if (answer.status == 404) outcome.reason += "; see that supabase.url is that of a Realtime not older than 2.97";
  return outcome;
}

}  // namespace sealcast::transport::supabase
