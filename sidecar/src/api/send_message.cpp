// POST /rpc/send_message and POST /rpc/verify.
#include "api/api.h"
#include "api/cell.h"
#include "api/database_failure.h"
#include "api/rate.h"
#include "base/asio.h"
#include "base/log.h"
#include "core/canonical_json.h"
#include "core/error.h"

namespace sealcast::api {

namespace {

using std::chrono::milliseconds;

std::string uuid_text(const postgres::Uuid& uuid) {
  std::string out;
  postgres::append_uuid_text(uuid.data(), out);
  return out;
}

// At the end of a request for a message.
struct CountRefusal {
  Metrics& metrics;
  const http::Response& response;
  ~CountRefusal() {
    if (response.status != 200) metrics.refused(response.problem).Increment();
  }
};

}  // namespace

asio::awaitable<void> Api::send_message(http::Exchange& exchange) {
  http::Response& response = exchange.response;
  CountRefusal count{parts_.metrics, response};
  auto who = session(exchange);
  if (!who) co_return;
  SendBody body;
  if (!send_bodies_.parse(exchange.request.body, body, response)) co_return;
  if (!is_here(body.stream_id, exchange) || !fits(body, response)) co_return;

  message::Message message{postgres::uuid_bytes(body.stream_id),
                           postgres::uuid_bytes(who->user_id),
                           postgres::uuid_bytes(body.txn_id),
                           body.t,
                           body.d,
                           false};
  std::string bucket(parts_.limits.bucket(body.t));
  int limit = co_await parts_.limits.limit_for(bucket, body.stream_id, who->user_id);
  // Named for GCC 12: see CONTRIBUTING.md.
  message::GateRequest question{std::move(who->user_id), bucket, std::move(body.txn_id), limit};
  message::GateAnswer gate = co_await parts_.gate.check(std::move(question));
  if (!within_rate(bucket == message::kUnknownType ? "unknown" : bucket, gate, response)) co_return;
  message.seen = gate.outcome == message::GateOutcome::seen;
  message::Verdict verdict = co_await parts_.admission.admit(message);
  if (verdict.status == 200 && log::enabled(log::Level::debug)) {
    log::write(log::Level::debug, log::tag::kSuccess, "a message was accepted",
               {{"stream_id", body.stream_id},
                {"sender_id", uuid_text(message.sender_id)},
                {"txn_id", uuid_text(message.txn_id)},
                {"replayed", verdict.replayed}});
  }
  answer(verdict, exchange);
}

// Whether canonical `d` is within the type's limit. Canonical JSON is hardly ever longer than what was sent, so that
// only what looks too long is canonicalized here; Postgres has the last word.
bool Api::fits(const SendBody& body, http::Response& response) {
  auto max_bytes = parts_.limits.max_bytes(body.t);
  if (!max_bytes || body.d.size() <= static_cast<std::size_t>(*max_bytes)) return true;
  std::string canonical;
  try {
    core::canonicalize(body.d, canonical, core::Numbers::exact);
  } catch (const core::Error& error) {
    http::answer_problem(response,
                         {400, "invalid_json", "d is not JSON that can be signed", error.what(), error.hint()});
    return false;
  }
  if (canonical.size() <= static_cast<std::size_t>(*max_bytes)) return true;
  std::string details =
      "canonical d has " + std::to_string(canonical.size()) + " bytes; this type takes " + std::to_string(*max_bytes);
  http::answer_problem(response, {413, "payload_too_large", "d is too large", details});
  return false;
}

void Api::answer(const message::Verdict& verdict, http::Exchange& exchange) {
  http::Response& response = exchange.response;
  response.storage = verdict.storage;
  if (verdict.status != 200) {
    http::answer_problem(response, {verdict.status, verdict.code, verdict.message, verdict.details, verdict.hint,
                                    milliseconds(verdict.retry_after_ms)});
    if (verdict.code == kWrongCell) lead_to(verdict.details, exchange);
    return;
  }
  (verdict.replayed ? parts_.metrics.messages_replayed : parts_.metrics.messages_ok).Increment();
  response.content_type = http::kJson;
  response.shared_body = verdict.envelope;
  if (verdict.replayed) response.header("Idempotency-Replayed", "true");
}

// The keyring is Postgres's: it alone can verify.
asio::awaitable<void> Api::verify(http::Exchange& exchange) {
  http::Response& response = exchange.response;
  if (exchange.request.body.empty() || !is_storable(exchange.request.body)) {
    http::answer_problem(response, {400, "invalid_json", "the request body is not JSON",
                                    "it is empty, no UTF-8, or holds NUL", "Send the envelope as it was received."});
    co_return;
  }
  postgres::Params params;
  params.add_json(exchange.request.body);
  try {
    postgres::Result rows = co_await parts_.pool.query("select sealcast.verify_detail($1)", params);
    std::string body = "{\"result\":";
    http::append_json_string(rows.text(0, 0), body);
    http::answer_json(response, body + "}");
  } catch (const postgres::Error& error) {
    if (error.of_input()) {
      http::answer_problem(response, {400, "invalid_json", "the request body is not JSON", error.what(),
                                      "Send the envelope as it was received."});
    } else {
      answer_database_failure(error, "cannot verify an envelope", response);
    }
  }
}

}  // namespace sealcast::api
