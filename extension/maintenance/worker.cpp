// The maintenance worker: a background worker that calls sealcast.maintain() in its database while maintenance is due,
// for at most 2 s. An error ends it; the launcher starts another one in its next round.
#include "maintenance/maintenance.h"
#include "server/pg.h"
#include "server/settings.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
}

namespace sealcast::maintenance {

namespace {

constexpr int kVisitMs = 2'000;

char database_name[NAMEDATALEN] = "";

void describe(void*) {
  errcontext(
      "background maintenance of database \"%s\", which is tried again; to run it yourself: "
      "call sealcast.run_maintenance()",
      database_name);
}

// Returns the owner of the extension, or InvalidOid if this database does not have the extension.
Oid extension_owner() {
  Oid owner = InvalidOid;
  Relation const relation = table_open(ExtensionRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("sealcast"));
  SysScanDesc const scan = systable_beginscan(relation, ExtensionNameIndexId, true, nullptr, 1, &key);
  HeapTuple const tuple = systable_getnext(scan);
  if (HeapTupleIsValid(tuple)) owner = reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extowner;
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return owner;
}

bool is_due() {
  Oid types[] = {FLOAT8OID};
  Datum values[] = {Float8GetDatum(server::settings::maintenance_interval_s)};
  SPI_execute_with_args("select sealcast_internal.maintenance_due(pg_catalog.make_interval(secs => $1))", 1, types,
                        values, nullptr, true, 0);
  bool null = true;
  const Datum due =
      SPI_processed == 1 ? SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null) : BoolGetDatum(false);
  return !null && DatumGetBool(due);
}

// Calls maintain() and logs what it has changed. Returns whether it must be called again.
bool maintain() {
  bool unfinished = false;
  SPI_execute("select action, object from sealcast.maintain()", false, 0);
  for (uint64 row = 0; row < SPI_processed; ++row) {
    const char* const action = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
    const char* const object = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2);
    if (std::string_view(action) == "unfinished") {
      unfinished = true;
    } else {
      ereport(LOG, (errmsg("sealcast maintenance of database \"%s\": %s %s", database_name, action, object),
                    errhidecontext(true)));
    }
  }
  return unfinished;
}

// Calls maintain() in a transaction of its own, as the owner of the extension. The first call of a visit asks whether
// maintenance is due. Returns whether maintain() must be called again.
bool step(bool first) {
  bool unfinished = false;
  SetCurrentStatementStartTimestamp();
  StartTransactionCommand();
  if (first) strlcpy(database_name, get_database_name(MyDatabaseId), sizeof database_name);
  const Oid owner = extension_owner();
  if (OidIsValid(owner) && !XactReadOnly) {
    pgstat_report_activity(STATE_RUNNING, "select * from sealcast.maintain()");
    PushActiveSnapshot(GetTransactionSnapshot());
    Oid user;
    int context;
    GetUserIdAndSecContext(&user, &context);
    SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
    SPI_connect();
    if (!first || is_due()) unfinished = maintain();
    SPI_finish();
    SetUserIdAndSecContext(user, context);
    PopActiveSnapshot();
  }
  CommitTransactionCommand();
  pgstat_report_stat(false);
  pgstat_report_activity(STATE_IDLE, nullptr);
  return unfinished;
}

}  // namespace

SEALCAST_EXPORT void sealcast_maintenance_main(Datum database);

void sealcast_maintenance_main(Datum database) {
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
  // Replaces settings of the database.
  SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
  SetConfigOption("lock_timeout", "1s", PGC_SUSET, PGC_S_OVERRIDE);
  ErrorContextCallback context = {error_context_stack, describe, nullptr};
  error_context_stack = &context;
  const TimestampTz began = GetCurrentTimestamp();
  bool unfinished = step(true);
  while (unfinished && !TimestampDifferenceExceeds(began, GetCurrentTimestamp(), kVisitMs)) {
    CHECK_FOR_INTERRUPTS();
    unfinished = step(false);
  }
  if (unfinished) note_unfinished();
  error_context_stack = context.previous;
  proc_exit(0);
}

}  // namespace sealcast::maintenance
