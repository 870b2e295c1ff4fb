// The launcher: a background worker that starts a maintenance worker in one database after the other.
#include "maintenance/maintenance.h"
#include "server/background_worker.h"
#include "server/pg.h"
#include "server/settings.h"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "port/atomics.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

namespace sealcast::maintenance {

namespace {

constexpr int kRestartSeconds = 60;
// Pause between two rounds through all databases. It is much shorter than the interval of maintenance.
constexpr long kMaxPauseMs = 600'000;
constexpr long kMinPauseMs = 1'000;
constexpr int kRoundsPerInterval = 7;
constexpr int kInvalidDatabase = -2;  // datconnlimit after an interrupted DROP DATABASE

struct State {
  pg_atomic_uint32 unfinished;  // 1: the last visit ended before its maintenance did
};
State* state = nullptr;

// Returns the databases that accept connections, allocated in `context`.
List* databases(MemoryContext context) {
  List* found = NIL;
  StartTransactionCommand();
  GetTransactionSnapshot();
  Relation const relation = table_open(DatabaseRelationId, AccessShareLock);
  TableScanDesc const scan = table_beginscan_catalog(relation, 0, nullptr);
  while (HeapTuple const tuple = heap_getnext(scan, ForwardScanDirection)) {
    const auto* const database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
    if (!database->datallowconn || database->datistemplate || database->datconnlimit == kInvalidDatabase) continue;
    MemoryContext const previous = MemoryContextSwitchTo(context);
    found = lappend_oid(found, database->oid);
    MemoryContextSwitchTo(previous);
  }
  table_endscan(scan);
  table_close(relation, AccessShareLock);
  CommitTransactionCommand();
  return found;
}

// Starts a maintenance worker and waits until it has ended. Returns false if all background workers are in use.
bool visit(Oid database) {
  BackgroundWorker worker = server::background_worker("sealcast maintenance", "sealcast_maintenance_main");
  worker.bgw_main_arg = ObjectIdGetDatum(database);
  worker.bgw_notify_pid = MyProcPid;
  BackgroundWorkerHandle* handle;
  if (!RegisterDynamicBackgroundWorker(&worker, &handle)) return false;
  WaitForBackgroundWorkerShutdown(handle);
  pfree(handle);
  return true;
}

// Visits each database. Returns whether a maintenance is unfinished.
bool visit_all(MemoryContext context) {
  bool unfinished = false;
  const ListCell* cell;
  foreach (cell, databases(context)) {
    if (ShutdownRequestPending) break;
    pg_atomic_write_u32(&state->unfinished, 0);
    if (!visit(lfirst_oid(cell))) {
      ereport(WARNING, (errmsg("sealcast cannot start a background worker for maintenance"),
                        errhint("Increase \"max_worker_processes\", or set \"sealcast.maintenance_interval\" to 0 and "
                                "schedule: call sealcast.run_maintenance().")));
      break;
    }
    unfinished |= pg_atomic_read_u32(&state->unfinished) != 0;
  }
  MemoryContextReset(context);
  return unfinished;
}

long pause_ms(bool unfinished) {
  if (unfinished) return kMinPauseMs;
  return std::clamp(server::settings::maintenance_interval_s * 1000L / kRoundsPerInterval, kMinPauseMs, kMaxPauseMs);
}

}  // namespace

std::size_t shared_size() { return sizeof(State); }

void attach(void* memory, bool initialize) {
  state = static_cast<State*>(memory);
  if (initialize) pg_atomic_init_u32(&state->unfinished, 0);
}

void note_unfinished() { pg_atomic_write_u32(&state->unfinished, 1); }

void register_launcher() {
  if (IsBinaryUpgrade) return;
  BackgroundWorker worker =
      server::background_worker("sealcast maintenance launcher", "sealcast_maintenance_launcher_main");
  worker.bgw_restart_time = kRestartSeconds;
  RegisterBackgroundWorker(&worker);
}

SEALCAST_EXPORT void sealcast_maintenance_launcher_main(Datum argument);

void sealcast_maintenance_launcher_main(Datum) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
  BackgroundWorkerUnblockSignals();
  // Without a database: only catalogs that all databases share can be read.
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  MemoryContext const context = AllocSetContextCreate(TopMemoryContext, "sealcast maintenance", ALLOCSET_SMALL_SIZES);
  while (!ShutdownRequestPending) {
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    const bool unfinished = server::settings::maintenance_interval_s > 0 && visit_all(context);
    // While the launcher waited for a worker, the latch of a signal was reset.
    if (ShutdownRequestPending || ConfigReloadPending) continue;
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause_ms(unfinished), PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
  // With the status 0, Postgres would not start the launcher again after pg_terminate_backend().
  proc_exit(1);
}

}  // namespace sealcast::maintenance
