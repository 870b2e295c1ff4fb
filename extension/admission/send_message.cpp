// The SQL function send_message(): sends one message from SQL or PostgREST. Asks the gate and then admits the message,
// as the sidecar does.
#include "admission/batch.h"
#include "admission/caller.h"
#include "admission/gate_client.h"
#include "core/message_type.h"
#include "server/datum.h"

extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
#include "tcop/utility.h"
#include "utils/snapmgr.h"
}

namespace sealcast::admission {

namespace {

void ask_gate(const Item& item) {
  const gate::Answer answer = gate::check(*item.sender_id, *item.stream_id, server::view(item.t), *item.txn_id);
  if (answer.outcome == gate::kLimited) {
    refuse({.status = 429,
            .code = "rate_limited",
            .message = psprintf("too many messages of type %s within one second", text_to_cstring(item.t)),
            .hint = "Wait, then retry with the same txn_id.",
            .retry_after_ms = answer.retry_after_ms});
  }
  if (answer.outcome == gate::kUnavailable) {
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
  if (item.verdict.status != 200) refuse(item.verdict);
  PG_RETURN_TEXT_P(item.verdict.envelope);
}

}  // namespace sealcast::admission
