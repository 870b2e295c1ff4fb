// Marks the transactions that shall wake the relay. After the commit of such a transaction, raises the flag in shared
// memory that makes the wake worker of this database send a NOTIFY.
//
// A slot in shared memory holds the flag. A slot belongs to a database while the database's worker lives, and while a
// transaction is between its PRE_COMMIT and its end (such a transaction is "pending").
//
// No wake-up is lost. A committing backend first raises the flag and then reads the worker's state. A worker that ends
// after a failure first clears its state and then reads the flag. A full memory barrier is between the two steps on
// each side, so at least one side sees the change of the other. An idle worker ends only if no transaction is pending
// and the flag is not raised.
#include "relay/wake.h"

#include "relay/wake_slots.h"
#include "server/guard.h"

extern "C" {
#include "access/parallel.h"
#include "access/xact.h"
#include "commands/async.h"
}

namespace sealcast::relay::wake {

namespace {

bool wanted = false;         // whether the current transaction shall wake the relay
Slot* committing = nullptr;  // the slot in which the current transaction is pending; null if it is not pending

void on_transaction_event(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      // The transaction is still open: an error would only abort it, and NOTIFY is possible if there is no slot.
      if (!wanted) return;
      committing = begin_commit();
      if (committing == nullptr) Async_Notify(kChannel, "");
      break;
    case XACT_EVENT_COMMIT:
      // The transaction is committed and visible to others. Nothing here may raise an error, because it cannot be
      // undone.
      if (committing != nullptr) raise_flag(committing);
      [[fallthrough]];
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
      if (committing != nullptr) end_commit(committing);
      committing = nullptr;
      wanted = false;
      break;
    default:
      break;
  }
}

}  // namespace

void request() {
  if (wanted) return;
  if (IsInParallelMode()) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
                    errmsg("sealcast_internal.wake() cannot run during a parallel operation")));
  }
  static bool registered = false;
  if (!registered) {
    RegisterXactCallback(on_transaction_event, nullptr);
    registered = true;
  }
  wanted = true;
}

SEALCAST_FUNCTION(sealcast_wake) {
  request();
  PG_RETURN_VOID();
}

}  // namespace sealcast::relay::wake
