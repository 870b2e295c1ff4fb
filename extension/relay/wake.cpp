// Waking the relay after commit: the transaction's side and the worker's side of one slot in shared memory.
//
// A slot belongs to a database while its worker lives or a transaction is between its PRE_COMMIT and its end
// ("pending"). No wake-up is lost: a committer raises the flag and then looks at the worker's state; a worker that
// leaves gives up its state and then looks at the flag (each with a full barrier between), so at least one of them sees
// the other. A worker leaves of itself only when nothing is pending and the flag is down.
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

bool wanted = false;         // this transaction asked to wake the relay
Slot* committing = nullptr;  // the slot in which it is pending

void notify_in_transaction() { Async_Notify(kChannel, ""); }

void on_transaction_event(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      // Still inside the transaction: an error only aborts it, and NOTIFY is still possible.
      if (!wanted) return;
      committing = begin_commit();
      if (committing == nullptr) notify_in_transaction();
      break;
    case XACT_EVENT_COMMIT:
      // Committed and visible to all; nothing here may fail.
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
                    errmsg("sealcast.wake() cannot run during a parallel operation")));
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
