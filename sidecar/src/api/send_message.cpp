// POST /rpc/send_message: checks the session, the message's size and the sender's rate, then passes the message to
// admission.
#include <memory>

#include "api/caller.h"
#include "api/cell.h"
#include "api/rate_limit.h"
#include "api/routes.h"
#include "api/send_body.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/canonical_json.h"
#include "core/error.h"
#include "core/terms/text_hash.h"
#include "message/admission.h"
#include "message/gate.h"
#include "message/limits.h"

namespace sealcast::api {

namespace {

constexpr int kHeld = 202;

std::string uuid_text(const postgres::Uuid& uuid) {
  std::string out;
  postgres::append_uuid_text(uuid.data(), out);
  return out;
}

// Counts a refused or held message in its destructor, so that one place counts the answers of all checks.
struct RefusalCounter {
  Metrics& metrics;
  const http::Response& response;
  ~RefusalCounter() {
    if (response.status != 200) metrics.refused(response.problem).Increment();
  }
};

struct SendMessage {
  Callers& callers;
  const message::Cells& cells;
  message::Limits& limits;
  message::Gate& gate;
  message::Admission& admission;
  Metrics& metrics;
  SendBodyParser bodies{};
  std::unique_ptr<core::terms::TextHasher> texts{};  // made when a stream needs it

  asio::awaitable<void> answer(http::Exchange& exchange);
  // Returns false after answering 413 if the canonical form of `d` exceeds the type's limit. Returns false after
  // answering 400 if `d` has no canonical form, which is checked only if `d` as sent exceeds the limit.
  bool within_size(const SendBody& body, http::Response& response) const;
  // Sets `text` to the hash of the message's text. Returns false after answering 400 if `d` has no canonical form.
  bool hash_text(const SendBody& body, std::string& text, http::Response& response);
  void answer_verdict(const message::Verdict& verdict, const postgres::Uuid& txn_id, http::Exchange& exchange) const;
};

asio::awaitable<void> SendMessage::answer(http::Exchange& exchange) {
  http::Response& response = exchange.response;
  RefusalCounter counter{metrics, response};
  auto session = callers.session(exchange);
  if (!session) co_return;
  SendBody body;
  if (!bodies.parse(exchange.request.body, body, response)) co_return;
  if (!is_here(cells, body.stream_id, exchange) || !within_size(body, response)) co_return;

  message::Message message{postgres::uuid_bytes(body.stream_id),
                           postgres::uuid_bytes(session->user_id),
                           postgres::uuid_bytes(body.txn_id),
                           body.t,
                           body.d,
                           false};
  std::string bucket(limits.bucket(body.t));
  const message::SenderLimits allowed = co_await limits.limits_for(bucket, body.stream_id, session->user_id);
  std::string text;
  if (allowed.rules.counts_text() && !hash_text(body, text, response)) co_return;
  // A named variable, because GCC 12 destroys a temporary inside a co_await expression twice (CONTRIBUTING.md).
  message::GateRequest check{std::move(session->user_id),
                             bucket,
                             std::move(body.txn_id),
                             allowed.rate,
                             body.stream_id,
                             allowed.rules,
                             std::move(text)};
  message::GateAnswer checked = co_await gate.check(std::move(check));
  if (!within_rate(bucket == message::kUnknownType ? "unknown" : bucket, checked, response)) co_return;
  message.seen = checked.outcome == message::GateOutcome::seen;
  message::Verdict verdict = co_await admission.admit(message);
  if (verdict.status == 200 && log::enabled(log::Level::debug)) {
    log::write(log::Level::debug, log::tag::kSuccess, "a message was accepted",
               {{"stream_id", body.stream_id},
                {"sender_id", uuid_text(message.sender_id)},
                {"txn_id", uuid_text(message.txn_id)},
                {"replayed", verdict.replayed}});
  }
  answer_verdict(verdict, message.txn_id, exchange);
}

// Canonicalises `d`. Returns false after answering 400 if it has no canonical form.
bool canonicalize(std::string_view d, std::string& out, http::Response& response) {
  try {
    core::canonicalize(d, out, core::Rules::payload);
    return true;
  } catch (const core::Error& error) {
    http::answer_problem(response,
                         {400, "invalid_json", "d is not JSON that can be signed", error.what(), error.hint()});
    return false;
  }
}

bool SendMessage::hash_text(const SendBody& body, std::string& text, http::Response& response) {
  std::string canonical;
  if (!canonicalize(body.d, canonical, response)) return false;
  if (!texts) texts = std::make_unique<core::terms::TextHasher>();
  text = texts->hash(canonical, body.t);
  return true;
}

// Canonical JSON is almost never longer than the original text. So `d` is canonicalised here only if its original text
// exceeds the limit. Postgres checks the limit of every message again.
bool SendMessage::within_size(const SendBody& body, http::Response& response) const {
  auto max_bytes = limits.max_bytes(body.t);
  if (!max_bytes || body.d.size() <= static_cast<std::size_t>(*max_bytes)) return true;
  std::string canonical;
  if (!canonicalize(body.d, canonical, response)) return false;
  if (canonical.size() <= static_cast<std::size_t>(*max_bytes)) return true;
  std::string details = "canonical d has " + std::to_string(canonical.size()) + " bytes; the limit of this type is " +
                        std::to_string(*max_bytes);
  http::answer_problem(response, {413, "payload_too_large", "d is too large", details, "Send a smaller d."});
  return false;
}

// Answers that the message waits for a moderator. The body is the object that the SQL function send_message() returns.
void answer_held(const message::Verdict& verdict, const postgres::Uuid& txn_id, http::Response& response) {
  response.status = kHeld;
  response.problem = "held";
  response.content_type = http::kJson;
  JsonObject(response.body)
      .boolean("held", true)
      .text("code", verdict.code)
      .text("message", verdict.message)
      .text("txn_id", uuid_text(txn_id))
      .boolean("replayed", verdict.replayed)
      .end();
  if (verdict.replayed) response.header("Idempotency-Replayed", "true");
}

void SendMessage::answer_verdict(const message::Verdict& verdict, const postgres::Uuid& txn_id,
                                 http::Exchange& exchange) const {
  http::Response& response = exchange.response;
  response.storage = verdict.storage;
  if (verdict.status == kHeld) return answer_held(verdict, txn_id, response);
  if (verdict.status != 200) {
    http::answer_problem(response, {verdict.status, verdict.code, verdict.message, verdict.details, verdict.hint,
                                    std::chrono::milliseconds(verdict.retry_after_ms)});
    if (verdict.code == kWrongCell) add_cell_location(verdict.details, exchange);
    return;
  }
  (verdict.replayed ? metrics.messages_replayed : metrics.messages_ok).Increment();
  response.content_type = http::kJson;
  response.shared_body = verdict.envelope;
  if (verdict.replayed) response.header("Idempotency-Replayed", "true");
}

}  // namespace

http::Handler send_message(Callers& callers, const message::Cells& cells, message::Limits& limits, message::Gate& gate,
                           message::Admission& admission, Metrics& metrics) {
  auto route = std::make_shared<SendMessage>(SendMessage{
      .callers = callers, .cells = cells, .limits = limits, .gate = gate, .admission = admission, .metrics = metrics});
  return [route](http::Exchange& exchange, std::string_view) { return route->answer(exchange); };
}

}  // namespace sealcast::api
