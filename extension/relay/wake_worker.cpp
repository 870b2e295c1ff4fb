// The background worker that turns raised flags into NOTIFY: one per database that is being written to.
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

constexpr long kPauseUs = 10'000;  // between two NOTIFYs: a relay that is awake drains no oftener
constexpr long kRetryMs = 1'000;   // after one that failed, say of a full queue
constexpr long kIdleMs = 3'000;    // then the worker goes: a connection would hold up DROP DATABASE, which waits 5 s

bool notifying = false;  // the flag is down, but nothing has been told yet

void on_exit(int, Datum slot) {
  Slot* const mine = reinterpret_cast<Slot*>(DatumGetPointer(slot));
  if (mine->worker_pid != MyProcPid) return;
  if (notifying) pg_atomic_write_u32(&mine->flag, 1);
  leave_on_failure(mine);
}

void notify() {
  StartTransactionCommand();
  Async_Notify(kChannel, "");
  CommitTransactionCommand();
  pgstat_report_stat(false);
}

// False when it failed, with the error logged.
bool notified() {
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

void run(Slot* slot) {
  while (true) {
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    notifying = pg_atomic_exchange_u32(&slot->flag, 0) != 0;
    if (notifying) {
      const bool told = notified();
      if (!told) pg_atomic_write_u32(&slot->flag, 1);
      notifying = false;
      if (told) {
        pg_usleep(kPauseUs);
      } else {
        wait(kRetryMs);
      }
    } else if ((wait(kIdleMs) & WL_TIMEOUT) != 0 && leave_if_idle(slot)) {
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

  Slot* const slot = take_slot(DatumGetObjectId(database));
  if (slot == nullptr) proc_exit(0);
  before_shmem_exit(on_exit, PointerGetDatum(slot));
  BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
  // What it tells of has been committed as durably as its committer wished.
  SetConfigOption("synchronous_commit", "off", PGC_SUSET, PGC_S_OVERRIDE);
  set_running(slot);
  run(slot);
  proc_exit(0);
}

}  // namespace sealcast::relay::wake
