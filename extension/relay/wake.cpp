// Marks transactions that shall wake the relay, and raises the flag of their database after the commit.
//
// A slot in shared memory belongs to a database while its worker lives, or while a transaction is between its
// PRE_COMMIT and its end ("pending"). No wake-up is lost. A committing backend raises the flag and then reads the
// worker's state. A worker that ends clears its state and then reads the flag. A full barrier is between the two steps
// of each side, so at least one side sees the other. An idle worker ends only if nothing is pending and the flag is not
// raised.
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

bool wanted = false;         // this transaction shall wake the relay
Slot* committing = nullptr;  // the slot in which this transaction is pending

void on_transaction_event(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      // Inside the transaction an error only aborts it, and NOTIFY is still possible.
      if (!wanted) return;
      committing = begin_commit();
      if (committing == nullptr) Async_Notify(kChannel, "");
      break;
    case XACT_EVENT_COMMIT:
      // The transaction is committed and visible, so nothing here may fail.
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
