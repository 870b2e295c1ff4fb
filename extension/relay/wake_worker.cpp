// The wake worker: a background worker that sends a NOTIFY when the flag of its database is raised. Each database with
// recent commits of messages has one wake worker.
#include "relay/wake_slots.h"
#include "server/guard.h"

extern "C" {
#include "access/xact.h"
#include "commands/async.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"
}

namespace sealcast::relay::wake {

namespace {

// Pause between two NOTIFYs. The relay makes a pause of the same length between two drains.
constexpr long kPauseUs = 10'000;
// Pause after a failed NOTIFY. A NOTIFY fails, for example, if the notification queue is full.
constexpr long kRetryMs = 1'000;
// After this idle time the worker ends. DROP DATABASE waits only 5 s for connections to end, and then fails.
constexpr long kIdleMs = 3'000;

bool notifying = false;  // true while the flag is cleared and the NOTIFY has not committed yet

// Runs when the process ends. If the worker fails, raises the flag again for a NOTIFY that has not committed, and
// leaves the slot.
void on_exit(int, Datum argument) {
  Slot* const slot = reinterpret_cast<Slot*>(DatumGetPointer(argument));
  if (slot->worker_pid != MyProcPid) return;
  if (notifying) pg_atomic_write_u32(&slot->flag, 1);
  release_on_failure(slot);
}

void notify() {
  StartTransactionCommand();
  Async_Notify(kChannel, "");
  CommitTransactionCommand();
  pgstat_report_stat(false);
}

// Sends a NOTIFY. After a failure, logs it and returns false.
bool try_to_notify() {
  volatile bool ok = true;
  PG_TRY();
  { notify(); }
  PG_CATCH();
  {
    HOLD_INTERRUPTS();
    EmitErrorReport();
    AbortCurrentTransaction();
    MemoryContextSwitchTo(TopMemoryContext);
    FlushErrorState();
    RESUME_INTERRUPTS();
    ok = false;
  }
  PG_END_TRY();
  return ok;
}

int wait(long timeout_ms) {
  const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  return events;
}

void notify_until_idle(Slot* slot) {
  while (true) {
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    notifying = pg_atomic_exchange_u32(&slot->flag, 0) != 0;
    if (notifying) {
      const bool notified = try_to_notify();
      if (!notified) pg_atomic_write_u32(&slot->flag, 1);
      notifying = false;
      if (notified) {
        pg_usleep(kPauseUs);
      } else {
        wait(kRetryMs);
      }
    } else if ((wait(kIdleMs) & WL_TIMEOUT) != 0 && release_if_idle(slot)) {
      return;
    }
  }
}

}  // namespace

SEALCAST_EXPORT void sealcast_wake_main(Datum database);

void sealcast_wake_main(Datum database) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();

  Slot* const slot = acquire_slot(DatumGetObjectId(database));
  if (slot == nullptr) proc_exit(0);
  before_shmem_exit(on_exit, PointerGetDatum(slot));
  BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
  // A NOTIFY need not survive a crash. The messages were committed earlier, by transactions with their own setting.
  SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
  set_running(slot);
  notify_until_idle(slot);
  proc_exit(0);
}

}  // namespace sealcast::relay::wake
