// Holds messages for moderators (sql/47_held.sql), and answers their senders.
#include "admission/held.h"

#include "admission/postgrest.h"
#include "server/datum.h"
#include "server/spi_plan.h"

extern "C" {
#include "utils/guc.h"
}

namespace sealcast::admission {

namespace {

server::SpiPlan plan{"select sealcast_internal.hold_message($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                     {UUIDOID, UUIDOID, UUIDOID, TEXTOID, TEXTOID, BYTEAOID, TEXTOID, UUIDOID, TEXTOID}};

server::SpiPlan newcomer{"select sealcast_internal.is_newcomer($1, $2)", {UUIDOID, UUIDOID}};

constexpr int64 kRetryAfterMs = 60'000;  // moderators are not faster

Verdict verdict_of(std::string_view problem) {
  if (problem == "sender_full") {
    return {.status = 429,
            .code = "too_many_held",
            .message = "too many of your messages wait for a moderator of this stream",
            .hint = "Wait until a moderator has decided, then retry with the same txn_id.",
            .retry_after_ms = kRetryAfterMs};
  }
  if (problem == "queue_full") {
    return {.status = 503,
            .code = "held_queue_full",
            .message = "too many messages wait for a moderator of this stream",
            .details = "Nothing was inserted.",
            .hint = "Retry with the same txn_id.",
            .retry_after_ms = kRetryAfterMs};
  }
  return {.status = 404,
          .code = "stream_not_found",
          .message = "the stream was deleted while the message was admitted",
          .hint = "Check stream_id."};
}

}  // namespace

Verdict held() {
  return {.status = kHeld,
          .code = "held",
          .message = "this message waits for a moderator",
          .hint = "Repeat the message with the same txn_id to learn the outcome."};
}

void hold_newcomers(Items items) {
  for (Item& item : items) {
    CHECK_FOR_INTERRUPTS();
    if (!item.admissible || item.rules == nullptr || !item.rules->hold_first) continue;
    if (item.type->system_only || moderates(item.role)) continue;
    const Datum arguments[] = {UUIDPGetDatum(item.stream_id), UUIDPGetDatum(item.sender_id)};
    server::SpiRows rows = newcomer.execute(arguments);
    const bool first = DatumGetBool(*rows.value(0, 0));
    rows.finish();
    if (first) item.hold = new (palloc(sizeof(Hold))) Hold{"rule", {}, "hold_first"};
  }
}

void hold(Item& item) {
  const Hold& why = *item.hold;
  const Datum arguments[] = {
      UUIDPGetDatum(item.stream_id), UUIDPGetDatum(item.sender_id),   UUIDPGetDatum(item.txn_id),
      PointerGetDatum(item.t),       PointerGetDatum(item.canonical), PointerGetDatum(item.sent_hash),
      CStringGetTextDatum(why.by),   UUIDPGetDatum(&why.term_id),     CStringGetTextDatum(why.detail)};
  server::SpiRows rows = plan.execute(arguments);
  const char* const problem = rows.c_string(0, 0);
  rows.finish();
  item.verdict = problem == nullptr ? held() : verdict_of(problem);
}

text* answer_held(const Item& item) {
  // PostgREST answers with this status (docs.postgrest.org, "Response Status Code").
  if (postgrest::is_calling()) {
    set_config_option("response.status", psprintf("%d", kHeld), PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0,
                      false);
  }
  const char* const replayed = item.verdict.replayed ? "true" : "false";
  return cstring_to_text(psprintf(R"({"held":true,"code":"%s","message":"%s","txn_id":"%.36s","replayed":%s})",
                                  item.verdict.code, item.verdict.message, server::UuidText(*item.txn_id).text,
                                  replayed));
}

}  // namespace sealcast::admission
