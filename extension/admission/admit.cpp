// The SQL function admit(): authorises, seals and inserts a batch. The sidecar and send_message() both use it.
//
// An item is one message of the batch. Its key is (sender_id, txn_id). The steps are:
// 1. Judge each item. An item without a refusal is admissible. Blocked terms may refuse it, or mask its payload.
// 2. Insert the keys of the admissible items without an admit hook that need not wait for a moderator. Seal
//    and store the items whose keys are new. Step 2 is one subtransaction. If another transaction has committed one of
//    the keys meanwhile, step 2 is rolled back and repeated. If an open transaction holds one of the keys, step 2 is
//    rolled back and the whole batch gets 503. If a constraint of the operator refuses a row, step 2 is rolled back and
//    each item is admitted alone. If there is no partition for the messages, step 2 is rolled back and its items get
//    503.
// 3. Admit or hold the other admissible items, each alone (admission/alone.cpp).
// 4. Answer each repeat with the envelope of its original, and record the blocked terms that were found.
#include <cstring>

#include "admission/failure.h"
#include "admission/store.h"
#include "sealing/key_store.h"
#include "sealing/sealing.h"

extern "C" {
#include "access/xact.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
}

namespace sealcast::admission {

namespace {

// Another transaction may commit a key between our look-up of the key and our insert. More than this many conflicts in
// a row do not happen by chance, so admission stops retrying.
constexpr int kMaxConflicts = 5;

// How long a batch waits for an open transaction that holds one of its keys.
constexpr char kLockTimeout[] = "100ms";
constexpr char kNoLockTimeout[] = "1ms";  // 0 would mean no limit

constexpr int kServiceUnavailable = 503;

void set_lock_timeout(const char* timeout) {
  set_config_option("lock_timeout", timeout, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

// Returns the admissible items that go alone, or those that are stored together.
std::span<Item*> admissible(Items items, bool alone) {
  auto* const chosen = static_cast<Item**>(palloc(items.size() * sizeof(Item*)));
  std::size_t count = 0;
  for (Item& item : items) {
    if (item.admissible && item.goes_alone() == alone) chosen[count++] = &item;
  }
  return {chosen, count};
}

void store_together(Items items, bool skip_committed) {
  const int64 ts = sealing::unix_ms(GetCurrentTimestamp());
  const core::Key& key = sealing::key_store::require_signing();
  store(insert_keys(admissible(items, false), ts, skip_committed), key, ts);
}

// key_conflict: another transaction has committed one of the keys. key_locked: an open transaction has inserted one of
// the keys, and did not end within kLockTimeout. constraint: a constraint of the operator refused one of the rows.
// no_partition: sealcast.messages has no partition for the messages of now.
enum class StoreResult { stored, key_conflict, key_locked, constraint, no_partition };

StoreResult result_of(const ErrorData* error) {
  if (is_used_key(error)) return StoreResult::key_conflict;
  if (is_held_key(error)) return StoreResult::key_locked;
  if (names_constraint(error)) return StoreResult::constraint;
  if (names_missing_partition(error)) return StoreResult::no_partition;
  ReThrowError(const_cast<ErrorData*>(error));
}

// Runs store_together() in a subtransaction, so that a failure leaves no row behind. Raises all errors again that
// concern the whole transaction.
StoreResult try_to_store(Items items, bool skip_committed) {
  MemoryContext const memory = CurrentMemoryContext;
  ResourceOwner const owner = CurrentResourceOwner;
  ErrorData* volatile error = nullptr;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    store_together(items, skip_committed);
    ReleaseCurrentSubTransaction();
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
  return error == nullptr ? StoreResult::stored : result_of(error);
}

// Stores the items that do not go alone. Returns false, with nothing stored, if an open transaction holds a key, or
// after more than kMaxConflicts conflicts with committed keys. Sets `missing_partition`, with nothing stored, if there
// is no partition for the messages of now.
bool store_with_retries(Items items, bool& missing_partition) {
  for (int conflicts = 0;; ++conflicts) {
    const bool skip_committed = conflicts > 0;
    switch (try_to_store(items, skip_committed)) {
      case StoreResult::stored:
        return true;
      case StoreResult::key_locked:
        return false;
      case StoreResult::constraint:
        // One of the items is at fault. Alone, it fails alone.
        for (Item* item : admissible(items, false)) {
          item->verdict = {};
          admit_alone(*item);
        }
        return true;
      case StoreResult::no_partition:
        // The repeats among the items get their envelopes nevertheless, so no item gets its verdict here.
        for (Item* item : admissible(items, false)) item->verdict = {};
        missing_partition = true;
        return true;
      case StoreResult::key_conflict:
        for (Item& item : items) {
          if (item.admissible) item.verdict = {};
        }
        if (skip_committed && IsolationUsesXactSnapshot()) {
          ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                          errmsg("could not serialize access due to a concurrent insert of the same txn_id"),
                          errhint("Retry the transaction.")));
        }
        if (conflicts == kMaxConflicts) return false;
    }
  }
}

// Admits or holds the items that go alone, one after the other, in the order of their keys.
void admit_singly(Items items) {
  const std::span<Item*> ordered = admissible(items, true);
  sort_by_key(ordered);
  for (Item* item : ordered) {
    admit_alone(*item);
    // The whole batch waits once: after the first lock that is held, the other items do not wait for theirs.
    if (item->verdict.status == kServiceUnavailable && std::strcmp(item->verdict.code, "txn_in_progress") == 0)
      set_lock_timeout(kNoLockTimeout);
  }
}

// Looks up what decides about the items, and prepares their payloads. Returns the moment for which the rights hold.
TimestampTz look_up_latest(Items items) {
  const TimestampTz now = GetCurrentTimestamp();
  lock_pins();
  // Not the snapshot of the transaction: under REPEATABLE READ it may be older than a restriction of the sender.
  PushActiveSnapshot(GetLatestSnapshot());
  look_up(items, now);
  PopActiveSnapshot();
  prepare(items);
  return now;
}

}  // namespace

void admit(Items items) {
  PreventCommandIfReadOnly("sealcast.admit()");
  PreventCommandIfParallelMode("sealcast.admit()");
  const TimestampTz now = look_up_latest(items);
  for (Item& item : items) judge(item, now);
  hold_newcomers(items);
  review_content(items);
  const bool any = std::any_of(items.begin(), items.end(), [](const Item& item) { return item.admissible; });
  const int settings = NewGUCNestLevel();
  set_lock_timeout(kLockTimeout);
  bool missing_partition = false;
  const bool stored = !any || store_with_retries(items, missing_partition);
  if (stored) admit_singly(items);
  AtEOXact_GUC(true, settings);
  if (!stored) {
    // After this verdict the sidecar sends each item of the batch again, alone and on another connection. So one held
    // key delays only its own item.
    for (Item& item : items) {
      item.verdict = txn_in_progress("another transaction holds this txn_id and has not ended");
    }
    return;
  }
  answer_repeats(items);
  for (Item& item : items) {
    if (item.verdict.status != 0) continue;
    // Otherwise the key of the item existed when the keys were inserted, so the item was not stored. But the key does
    // not exist now, so there is no original.
    item.verdict = missing_partition
                       ? no_partition()
                       : txn_in_progress("the rights of the sender changed while the message was admitted");
  }
  record_hits(items);
}

void answer_without_storing(Items items) {
  prepare(items);
  for (Item& item : items) judge(item, GetCurrentTimestamp());
  answer_repeats(items);
}

SEALCAST_FUNCTION(sealcast_admit) {
  const Items items = read_items(fcinfo);
  admit(items);
  write_verdicts(fcinfo, items);
  return static_cast<Datum>(0);
}

// sealcast_internal.admit_held(stream_id uuid, t text, sender_id uuid, txn_id uuid, d text, sent_hash bytea, ask_hook
// boolean) returns setof sealcast.verdict: admits a held message that a moderator has approved.
SEALCAST_FUNCTION(sealcast_admit_held) {
  auto* const item = new (palloc(sizeof(Item))) Item{};
  item->number = 1;
  item->stream_id = PG_GETARG_UUID_P(0);
  item->t = PG_GETARG_TEXT_PP(1);
  item->sender_id = PG_GETARG_UUID_P(2);
  item->txn_id = PG_GETARG_UUID_P(3);
  item->d = PG_GETARG_TEXT_PP(4);
  item->approved = true;
  item->skips_hook = !PG_GETARG_BOOL(6);
  const Items items{item, 1};
  const TimestampTz now = look_up_latest(items);
  // A repeat is compared with the payload as it was sent, which is not the masked one.
  item->sent_hash = PG_GETARG_BYTEA_PP(5);
  judge(*item, now);
  if (item->admissible) {
    const int settings = NewGUCNestLevel();
    set_lock_timeout(kLockTimeout);
    admit_alone(*item);
    AtEOXact_GUC(true, settings);
  }
  write_verdicts(fcinfo, items);
  return static_cast<Datum>(0);
}

}  // namespace sealcast::admission
