// The SQL function send_message(): sends one message from SQL or PostgREST. Asks the gate and then admits the message,
// as the sidecar does.
#include "admission/batch.h"
#include "admission/caller.h"
#include "admission/gate_client.h"
#include "admission/held.h"
#include "core/canonical_json.h"
#include "core/error.h"
#include "core/message_type.h"
#include "core/terms/text_hash.h"
#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
#include "tcop/utility.h"
#include "utils/snapmgr.h"
}

namespace sealcast::admission {

namespace {

constexpr std::size_t kMaxPayload = 1'048'576;  // the check of message_types.max_bytes

// Sets `hash` to the hash of the text, or to "-" if it has none: a payload that is not valid is refused at admission.
void hash_text(const Item& item, char (&hash)[core::terms::kTextHash + 1]) {
  strlcpy(hash, "-", sizeof hash);
  server::guarded([&](core::CancelFlag cancel) {
    static core::terms::TextHasher texts;
    static std::string canonical;
    try {
      canonical.clear();
      core::canonicalize(server::view(item.d), canonical, core::Rules::payload, cancel);
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::invalid_json) throw;
      return;
    }
    // Admission refuses it: no type allows more. The buffers keep their memory.
    if (canonical.size() > kMaxPayload) {
      std::string().swap(canonical);
      return;
    }
    const std::string found = texts.hash(canonical, server::view(item.t));
    if (!found.empty()) strlcpy(hash, found.c_str(), sizeof hash);
  });
}

gate::Answer answer_of_gate(const Item& item) {
  const gate::Answer answer = gate::check(*item.sender_id, *item.stream_id, server::view(item.t), *item.txn_id);
  if (answer.outcome != gate::kText) return answer;
  char text[core::terms::kTextHash + 1];
  hash_text(item, text);
  return gate::check(*item.sender_id, *item.stream_id, server::view(item.t), *item.txn_id, text);
}

void ask_gate(const Item& item) {
  const gate::Answer answer = answer_of_gate(item);
  if (answer.outcome == gate::kLimited) {
    refuse({.status = 429,
            .code = "rate_limited",
            .message = psprintf("too many messages of type %s within one second", text_to_cstring(item.t)),
            .hint = "Wait, then retry with the same txn_id.",
            .retry_after_ms = answer.retry_after_ms},
           Rate{item.t, answer.limit});
  }
  if (answer.outcome == gate::kSlowed) {
    refuse({.status = 429,
            .code = "slow_mode",
            .message = "this stream is in slow mode",
            .hint = "Wait, then retry with the same txn_id.",
            .retry_after_ms = answer.retry_after_ms});
  }
  if (answer.outcome == gate::kRepeated) {
    refuse({.status = 429,
            .code = "text_repeated",
            .message = "you have sent the same text to this stream not long ago",
            .hint = "Send another text, or wait.",
            .retry_after_ms = answer.retry_after_ms});
  }
  if (answer.outcome == gate::kCopied) {
    refuse({.status = 429,
            .code = "text_copied",
            .message = "too many users have sent the same text to this stream",
            .hint = "Send another text, or wait.",
            .retry_after_ms = answer.retry_after_ms});
  }
  if (answer.outcome == gate::kUnavailable || answer.outcome == gate::kText) {
    refuse({.status = 503,
            .code = "gate_unavailable",
            .message = "the gate is unavailable",
            .hint = "Retry with the same txn_id.",
            .retry_after_ms = answer.retry_after_ms});
  }
}

void refuse_read_only_database() {
  if (!RecoveryInProgress() && !(XactReadOnly && DefaultXactReadOnly)) return;
  refuse({.status = 503,
          .code = "database_read_only",
          .message = "the database accepts no writes now",
          .details = "Nothing was inserted.",
          .hint = "Retry with the same txn_id.",
          .retry_after_ms = 1000});
}

bool is_in_other_cell(Item& item) {
  if (!is_cell()) return false;
  PushActiveSnapshot(GetTransactionSnapshot());
  look_up_cells({&item, 1});
  PopActiveSnapshot();
  return item.other_cell != nullptr;
}

}  // namespace

SEALCAST_FUNCTION(sealcast_send_message) {
  static constexpr const char* kArguments[] = {"stream_id", "t", "d", "txn_id"};
  // Before the gate: a message that cannot be stored must not spend its sender's rate.
  refuse_read_only_database();
  // The caller has begun a read-only transaction, as PostgREST does for GET.
  PreventCommandIfReadOnly("sealcast.send_message()");
  const pg_uuid_t sender = current_sender();
  for (int i = 0; i < 4; ++i) {
    if (PG_ARGISNULL(i)) {
      refuse({.status = 400,
              .code = "invalid_request",
              .message = psprintf("%s is null", kArguments[i]),
              .hint = "Send stream_id, t, d and txn_id."});
    }
  }
  Item item{};
  item.number = 1;
  item.stream_id = PG_GETARG_UUID_P(0);
  item.t = PG_GETARG_TEXT_PP(1);
  item.sender_id = &sender;
  item.txn_id = PG_GETARG_UUID_P(3);
  item.d = PG_GETARG_TEXT_PP(2);
  if (!core::is_message_type(server::view(item.t))) refuse(unknown_type(item.t));
  if (is_in_other_cell(item)) {
    // Do not ask the gate: the sender must send the message to another cell, so here it must not count towards the
    // sender's rate, and its txn_id must not be remembered.
    answer_without_storing({&item, 1});
  } else {
    ask_gate(item);
    admit({&item, 1});
  }
  if (item.verdict.status == kHeld) PG_RETURN_TEXT_P(answer_held(item));
  if (item.verdict.status != 200) {
    log_refusal(item);
    refuse(item.verdict);
  }
  PG_RETURN_TEXT_P(item.verdict.envelope);
}

}  // namespace sealcast::admission
