// Admits one item in a subtransaction of its own: an item whose type has an admit hook, one that waits for a moderator,
// or one that may be the item at fault in a batch.
#include "admission/failure.h"
#include "admission/hook.h"
#include "admission/store.h"
#include "sealing/key_store.h"
#include "sealing/sealing.h"

extern "C" {
#include "access/xact.h"
#include "utils/resowner.h"
}

namespace sealcast::admission {

namespace {

enum class Step { key, hook, message };

// kept: the changes are kept. refused: the verdict is set. held_by_hook: the hook has held the item, whose `hold` is
// set.
enum class Outcome { kept, refused, held_by_hook };

bool asks_hook(const Item& item) {
  return item.type->admit_hook != nullptr && item.hold == nullptr && !item.skips_hook;
}

// Runs the steps.
Outcome run(Item& item, volatile Step& step) {
  const int64 ts = sealing::unix_ms(GetCurrentTimestamp());
  const core::Key& key = sealing::key_store::require_signing();
  Item* only = &item;
  const Inserted inserted = insert_keys({&only, 1}, ts, !item.approved);
  if (inserted.count == 0) return Outcome::kept;
  if (asks_hook(item)) {
    step = Step::hook;
    const std::optional<Verdict> answer = ask_hook(item);
    const bool holds = answer && answer->status == kHeld;
    if (holds && !item.approved) {
      item.hold = new (palloc(sizeof(Hold))) Hold{"hook", {}, answer->message == nullptr ? "" : answer->message};
      return Outcome::held_by_hook;
    }
    if (answer && !holds) {
      item.verdict = *answer;
      return Outcome::refused;
    }
  }
  step = Step::message;
  if (item.hold != nullptr) {
    hold(item);
    return item.verdict.status == kHeld ? Outcome::kept : Outcome::refused;
  }
  store(inserted, key, ts);
  return Outcome::kept;
}

// An error of these kinds concerns the whole transaction, whatever raised it.
bool concerns_transaction(const ErrorData* error) {
  const int code = error->sqlerrcode;
  return code == ERRCODE_QUERY_CANCELED ||
         (ERRCODE_TO_CATEGORY(code) == ERRCODE_TRANSACTION_ROLLBACK && code != ERRCODE_T_R_DEADLOCK_DETECTED);
}

// Returns the verdict of an item whose step failed. Status 0: the key was used before.
Verdict verdict_of(const Item& item, Step step, const ErrorData* error) {
  if (concerns_transaction(error)) ReThrowError(const_cast<ErrorData*>(error));
  if (step == Step::key && is_used_key(error)) return {};
  if (is_held_key(error)) {
    return txn_in_progress(step == Step::hook ? "the admit hook waits for another transaction"
                                              : "another transaction holds this txn_id and has not ended");
  }
  if (step == Step::hook) {
    ereport(LOG, (errmsg("sealcast: the admit hook %s of message type %s failed: %s",
                         text_to_cstring(item.type->admit_hook), text_to_cstring(item.t), error->message),
                  errdetail("SQLSTATE %s%s%s", unpack_sql_state(error->sqlerrcode), error->detail ? ": " : "",
                            error->detail ? error->detail : "")));
    return {.status = 500,
            .code = "admit_hook_failed",
            .message = psprintf("the admit hook of message type %s failed", text_to_cstring(item.t)),
            .hint = "Retry with the same txn_id. The reason is in the log of the database."};
  }
  if (names_constraint(error)) return constraint_violated(error);
  if (names_missing_partition(error)) return no_partition();
  ReThrowError(const_cast<ErrorData*>(error));
}

}  // namespace

void admit_alone(Item& item) {
  MemoryContext const memory = CurrentMemoryContext;
  ResourceOwner const owner = CurrentResourceOwner;
  ErrorData* volatile error = nullptr;
  volatile Step step = Step::key;
  volatile Outcome outcome = Outcome::kept;
  BeginInternalSubTransaction(nullptr);
  // The verdict must outlive the subtransaction.
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    outcome = run(item, step);
    if (outcome == Outcome::kept) {
      ReleaseCurrentSubTransaction();
    } else {
      RollbackAndReleaseCurrentSubTransaction();
    }
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(memory);
    error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
  }
  PG_END_TRY();
  MemoryContextSwitchTo(memory);
  CurrentResourceOwner = owner;
  if (error != nullptr) item.verdict = verdict_of(item, step, error);
  // What the hook has written was rolled back with its subtransaction.
  if (error == nullptr && outcome == Outcome::held_by_hook) admit_alone(item);
}

}  // namespace sealcast::admission
