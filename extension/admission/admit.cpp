// admit(): the one place that authorises, seals and inserts. send_message() and the sidecar both end here.
//
// A batch is judged, its keys are claimed, what was claimed is sealed and stored, and what was not is answered: a
// repeat by its original, the rest by what was judged. Claiming and storing are one subtransaction: it ends as a whole,
// is done again when somebody was faster with a key, or is given up when somebody holds one.
#include "admission/batch.h"
#include "admission/claim.h"
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

// Somebody else may commit a key between the look at it and its claim; nobody has this much bad luck.
constexpr int kMaxRaces = 5;

void seal(const Claimed& claimed, const core::Key& key, int64 ts) {
  for (int i = 0; i < claimed.count; ++i) {
    Item& item = *claimed.items[i];
    const server::UuidText stream_id(*item.stream_id), sender_id(*item.sender_id), txn_id(*item.txn_id);
    server::guarded([&](core::CancelFlag) {
      server::Scratch signing, envelope;
      const core::Fields fields{server::view(item.t), stream_id.view(), sender_id.view(), txn_id.view(), ts};
      const core::Signature sig = core::sign_payload(fields, server::view(item.canonical), key, *signing);
      core::append_envelope(fields, key.kid, server::view(item.canonical), sig.bytes(), *envelope);
      item.sig = server::new_varlena(sig.bytes());
      item.answer.envelope = server::new_varlena(*envelope);
    });
    item.answer.status = 200;
  }
}

void store(const Claimed& claimed, const core::Key& key, int64 ts) {
  const text* const kid = cstring_to_text_with_len(key.kid.data(), static_cast<int>(key.kid.size()));
  static constexpr const char* kMessage[] = {"ts", "message_id", "stream_id", "sender_id", "txn_id",
                                             "t",  "kid",        "sig",       "d"};
  server::bulk_insert("messages", kMessage, claimed.count, [&](int i, Datum* values, bool*) {
    const Item& item = *claimed.items[i];
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

void queue(const Claimed& claimed, int64 ts) {
  const FullTransactionId xid = GetTopFullTransactionId();
  const int16 segment = relay::outbox_segment();
  auto* const runs = static_cast<relay::Run*>(palloc(static_cast<std::size_t>(claimed.count) * sizeof(relay::Run)));
  int count = 0;
  for (int i = 0; i < claimed.count; ++i) {
    const Item& item = *claimed.items[i];
    if (count > 0 && runs[count - 1].takes(item.message_id, *item.stream_id)) {
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

void claim_and_store(Items items, bool look_first) {
  const int64 ts = sealing::unix_ms(GetCurrentTimestamp());
  const core::Key& key = sealing::key_store::require_signing();
  const Claimed claimed = claim(items, ts, look_first);
  if (claimed.count > 0) {
    seal(claimed, key, ts);
    store(claimed, key, ts);
    queue(claimed, ts);
    relay::wake::request();
  }
  admit_hooked(items);
}

enum class Outcome { stored, raced, blocked };

Outcome outcome_of(const ErrorData* error) {
  switch (error->sqlerrcode) {
    case ERRCODE_UNIQUE_VIOLATION:
      return Outcome::raced;
    case ERRCODE_LOCK_NOT_AVAILABLE:
    case ERRCODE_T_R_DEADLOCK_DETECTED:
      return Outcome::blocked;
    case ERRCODE_CHECK_VIOLATION:
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("no partition takes messages of today"),
                      errhint("Run: select sealcast.maintain(). The sidecar does so every hour; without one, schedule "
                              "it daily.")));
  }
  ReThrowError(const_cast<ErrorData*>(error));
}

// In a subtransaction of its own: nothing of it is left unless all of it is.
Outcome attempt(Items items, bool look_first) {
  MemoryContext const memory = CurrentMemoryContext;
  ResourceOwner const owner = CurrentResourceOwner;
  ErrorData* volatile error = nullptr;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    claim_and_store(items, look_first);
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
  return error == nullptr ? Outcome::stored : outcome_of(error);
}

Answer txn_in_progress(const char* message) {
  return {.status = 503,
          .code = "txn_in_progress",
          .message = message,
          .hint = "Retry with the same txn_id.",
          .retry_after_ms = 200};
}

// False when somebody's open transaction holds a key: nothing was stored.
bool store_what_is_new(Items items) {
  for (int races = 0;; ++races) {
    const bool look_first = races > 0;
    switch (attempt(items, look_first)) {
      case Outcome::stored:
        return true;
      case Outcome::blocked:
        return false;
      case Outcome::raced:
        for (Item& item : items) {
          if (item.admissible) item.answer = {};
        }
        if (look_first && IsolationUsesXactSnapshot()) {
          ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                          errmsg("could not serialize access due to a concurrent claim of the same txn_id"),
                          errhint("Retry the transaction.")));
        }
        if (races == kMaxRaces) return false;
    }
  }
}

// How long a batch waits for somebody's open transaction on one of its keys.
constexpr char kLockTimeout[] = "100ms";

}  // namespace

void admit(Items items) {
  PreventCommandIfReadOnly("sealcast.admit()");
  PreventCommandIfParallelMode("sealcast.admit()");
  const TimestampTz now = GetCurrentTimestamp();
  hold_pins();
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
  const bool stored = !any || store_what_is_new(items);
  AtEOXact_GUC(true, settings);
  if (!stored) {
    // The caller sends each item alone, on another connection: one held key stalls nobody else.
    for (Item& item : items) {
      item.answer = txn_in_progress("another transaction holds this txn_id and has not ended");
    }
    return;
  }
  answer_repeats(items);
  for (Item& item : items) {
    // Its key was taken when it was claimed and is gone now.
    if (item.answer.status == 0) item.answer = txn_in_progress("what may be sent changed while this was decided");
  }
}

void answer_elsewhere(Items items) {
  prepare(items);
  for (Item& item : items) judge(item, GetCurrentTimestamp());
  answer_repeats(items);
}

SEALCAST_FUNCTION(sealcast_admit) {
  const Items items = read_items(fcinfo);
  admit(items);
  write_answers(fcinfo, items);
  return static_cast<Datum>(0);
}

}  // namespace sealcast::admission
