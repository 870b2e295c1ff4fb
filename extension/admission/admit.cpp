// The SQL function admit(): authorises, seals and inserts a batch. The sidecar and send_message() both use it.
//
// An item is one message of the batch. Its key is (sender_id, txn_id). The steps are:
// 1. Judge each item. An item without a refusal is admissible.
// 2. Insert the keys of the admissible items. Seal and store the items whose keys are new. Items with an admit hook are
//    stored last, one by one. Step 2 is one subtransaction. If another transaction has committed one of the keys
//    meanwhile, step 2 is rolled back and repeated. If an open transaction holds one of the keys, step 2 is rolled back
//    and the whole batch gets 503.
// 3. Answer each repeat with the envelope of its original.
#include "admission/batch.h"
#include "admission/txn_keys.h"
#include "core/envelope.h"
#include "relay/outbox.h"
#include "relay/wake.h"
#include "sealing/key_store.h"
#include "sealing/sealing.h"
#include "server/bulk_insert.h"
#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "access/xact.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"
}

namespace sealcast::admission {

namespace {

// Another transaction may commit a key between our look-up of the key and our insert. More than this many conflicts in
// a row do not happen by chance, so admission stops retrying.
constexpr int kMaxConflicts = 5;

// How long a batch waits for an open transaction that holds one of its keys.
constexpr char kLockTimeout[] = "100ms";

void seal(const Inserted& inserted, const core::Key& key, int64 ts) {
  for (int i = 0; i < inserted.count; ++i) {
    Item& item = *inserted.items[i];
    const server::UuidText stream_id(*item.stream_id), sender_id(*item.sender_id), txn_id(*item.txn_id);
    server::guarded([&](core::CancelFlag) {
      server::Scratch signing, envelope;
      const core::Fields fields{server::view(item.t), stream_id.view(), sender_id.view(), txn_id.view(), ts};
      const core::Signature sig = core::sign_payload(fields, server::view(item.canonical), key, *signing);
      core::append_envelope(fields, key.kid, server::view(item.canonical), sig.bytes(), *envelope);
      item.sig = server::new_varlena(sig.bytes());
      item.verdict.envelope = server::new_varlena(*envelope);
    });
    item.verdict.status = 200;
  }
}

void insert_messages(const Inserted& inserted, const core::Key& key, int64 ts) {
  const text* const kid = cstring_to_text_with_len(key.kid.data(), static_cast<int>(key.kid.size()));
  static constexpr const char* kMessage[] = {"ts", "message_id", "stream_id", "sender_id", "txn_id",
                                             "t",  "kid",        "sig",       "d"};
  server::bulk_insert("messages", kMessage, inserted.count, [&](int i, Datum* values, bool*) {
    const Item& item = *inserted.items[i];
    values[0] = Int64GetDatum(ts);
    values[1] = Int64GetDatum(item.message_id);
    values[2] = UUIDPGetDatum(item.stream_id);
    values[3] = UUIDPGetDatum(item.sender_id);
    values[4] = UUIDPGetDatum(item.txn_id);
    values[5] = PointerGetDatum(item.t);
    values[6] = PointerGetDatum(kid);
    values[7] = PointerGetDatum(item.sig);
    values[8] = PointerGetDatum(item.canonical);
  });
}

void insert_outbox(const Inserted& inserted, int64 ts) {
  const FullTransactionId xid = GetTopFullTransactionId();
  const int16 segment = relay::outbox_segment();
  auto* const runs = static_cast<relay::Run*>(palloc(static_cast<std::size_t>(inserted.count) * sizeof(relay::Run)));
  int count = 0;
  for (int i = 0; i < inserted.count; ++i) {
    const Item& item = *inserted.items[i];
    if (count > 0 && runs[count - 1].continues_with(item.message_id, *item.stream_id)) {
      ++runs[count - 1].messages;
    } else {
      runs[count++] = {item.message_id, 1, ts, *item.stream_id, relay::shard_of(*item.stream_id), 0};
    }
  }
  static constexpr const char* kRow[] = {"xid", "first_id", "messages", "ts", "stream_id", "shard", "segment"};
  server::bulk_insert("outbox", kRow, count, [&](int i, Datum* values, bool*) {
    const relay::Run& run = runs[i];
    values[0] = FullTransactionIdGetDatum(xid);
    values[1] = Int64GetDatum(run.first_id);
    values[2] = Int32GetDatum(run.messages);
    values[3] = Int64GetDatum(run.ts);
    values[4] = UUIDPGetDatum(&run.stream_id);
    values[5] = Int16GetDatum(static_cast<int16>(run.shard));
    values[6] = Int16GetDatum(segment);
  });
}

// Step 2. `skip_committed` as for insert_keys().
void store(Items items, bool skip_committed) {
  const int64 ts = sealing::unix_ms(GetCurrentTimestamp());
  const core::Key& key = sealing::key_store::require_signing();
  const Inserted inserted = insert_keys(items, ts, skip_committed);
  if (inserted.count > 0) {
    seal(inserted, key, ts);
    insert_messages(inserted, key, ts);
    insert_outbox(inserted, ts);
    relay::wake::request();
  }
  admit_hooked(items);
}

// key_conflict: another transaction has committed one of the keys. key_locked: an open transaction has inserted one of
// the keys, and did not end within kLockTimeout.
enum class StoreResult { stored, key_conflict, key_locked };

StoreResult result_of(const ErrorData* error) {
  switch (error->sqlerrcode) {
    case ERRCODE_UNIQUE_VIOLATION:
      return StoreResult::key_conflict;
    case ERRCODE_LOCK_NOT_AVAILABLE:
    case ERRCODE_T_R_DEADLOCK_DETECTED:
      return StoreResult::key_locked;
    case ERRCODE_CHECK_VIOLATION:
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("there is no partition for the messages of today"),
                      errhint("Run: select sealcast.maintain(). The sidecar calls it every hour. Without a sidecar, "
                              "schedule a daily call.")));
  }
  ReThrowError(const_cast<ErrorData*>(error));
}

// Runs store() in a subtransaction, so that a failure leaves no row behind. Raises all errors again that have nothing
// to do with a key.
StoreResult try_to_store(Items items, bool skip_committed) {
  MemoryContext const memory = CurrentMemoryContext;
  ResourceOwner const owner = CurrentResourceOwner;
  ErrorData* volatile error = nullptr;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    store(items, skip_committed);
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

Verdict txn_in_progress(const char* message) {
  return {.status = 503,
          .code = "txn_in_progress",
          .message = message,
          .hint = "Retry with the same txn_id.",
          .retry_after_ms = 200};
}

// Returns false, with nothing stored, if an open transaction holds a key, or after more than kMaxConflicts conflicts
// with committed keys.
bool store_with_retries(Items items) {
  for (int conflicts = 0;; ++conflicts) {
    const bool skip_committed = conflicts > 0;
    switch (try_to_store(items, skip_committed)) {
      case StoreResult::stored:
        return true;
      case StoreResult::key_locked:
        return false;
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

}  // namespace

void admit(Items items) {
  PreventCommandIfReadOnly("sealcast.admit()");
  PreventCommandIfParallelMode("sealcast.admit()");
  const TimestampTz now = GetCurrentTimestamp();
  lock_pins();
  PushActiveSnapshot(GetTransactionSnapshot());
  look_up(items, now);
  PopActiveSnapshot();
  prepare(items);
  bool any = false;
  for (Item& item : items) {
    judge(item, now);
    any = any || item.admissible;
  }
  const int settings = NewGUCNestLevel();
  set_config_option("lock_timeout", kLockTimeout, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  const bool stored = !any || store_with_retries(items);
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
    // The item has no verdict: its key existed when the keys were inserted, so the item was not stored. But the key
    // does not exist now, so there is no original.
    if (item.verdict.status == 0)
      item.verdict = txn_in_progress("the rights of the sender changed while the message was admitted");
  }
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

}  // namespace sealcast::admission
