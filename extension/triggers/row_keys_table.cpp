// Executes the statements that change sealcast_internal.row_keys.
#include "triggers/row_keys_table.h"

#include "server/catalog.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace sealcast::triggers {
namespace {

constexpr const char* kLockTimeout = "5s";

struct Plan {
  const char* sql;
  int parameters;
  SPIPlanPtr prepared = nullptr;
};

Plan insert_one = {"insert into sealcast_internal.row_keys (table_id, key) values ($1, $2) on conflict do nothing", 2};
Plan delete_one = {
    "delete from sealcast_internal.row_keys where table_id operator(pg_catalog.=) $1 and key operator(pg_catalog.=) $2",
    2};
Plan delete_all = {"delete from sealcast_internal.row_keys where table_id operator(pg_catalog.=) $1", 1};

// The role and the settings from before, until finish(). The end of the transaction restores both after an error.
struct Owner {
  Oid user;
  int context;
  int settings;

  static Owner become() {
    Owner before;
    GetUserIdAndSecContext(&before.user, &before.context);
    HeapTuple const table = SearchSysCache1(RELOID, ObjectIdGetDatum(server::table_id("row_keys")));
    if (!HeapTupleIsValid(table)) elog(ERROR, "sealcast_internal.row_keys does not exist");
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(table))->relowner;
    ReleaseSysCache(table);
    SetUserIdAndSecContext(owner, before.context | SECURITY_LOCAL_USERID_CHANGE);
    before.settings = NewGUCNestLevel();
    return before;
  }
  void finish() const {
    AtEOXact_GUC(false, settings);
    SetUserIdAndSecContext(user, context);
  }
};

void set_locally(const char* name, const char* value) {
  set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

uint64 execute(Plan& plan, Oid root, Datum digest) {
  const Owner owner = Owner::become();
  if (LockTimeout == 0) set_locally("lock_timeout", kLockTimeout);
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "could not connect to SPI");
  if (plan.prepared == nullptr) {
    Oid types[2] = {REGCLASSOID, BYTEAOID};
    SPIPlanPtr const prepared = SPI_prepare(plan.sql, plan.parameters, types);
    if (prepared == nullptr || SPI_keepplan(prepared) != 0) {
      elog(ERROR, "could not prepare: %s (%s)", plan.sql, SPI_result_code_string(SPI_result));
    }
    plan.prepared = prepared;
  }
  Datum values[2] = {ObjectIdGetDatum(root), digest};
  const int result = SPI_execute_plan(plan.prepared, values, nullptr, false, 0);
  if (result < 0) elog(ERROR, "could not execute: %s (%s)", plan.sql, SPI_result_code_string(result));
  const uint64 rows = SPI_processed;
  SPI_finish();
  owner.finish();
  return rows;
}

}  // namespace

Oid root_of(Relation table) {
  return table->rd_rel->relispartition ? llast_oid(get_partition_ancestors(RelationGetRelid(table)))
                                       : RelationGetRelid(table);
}

bool insert_row_key(const RowKey& key) { return execute(insert_one, key.root, digest_datum(key)) > 0; }

void delete_row_key(const RowKey& key) {
  PushActiveSnapshot(GetTransactionSnapshot());
  execute(delete_one, key.root, digest_datum(key));
  PopActiveSnapshot();
}

void delete_row_keys(Oid root) { execute(delete_all, root, Datum{0}); }

void change_row_keys(const char* statement) {
  const Owner owner = Owner::become();
  set_locally("search_path", "pg_catalog, pg_temp");
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "could not connect to SPI");
  SPIPlanPtr const plan = SPI_prepare(statement, 0, nullptr);
  if (plan == nullptr) elog(ERROR, "could not prepare: %s (%s)", statement, SPI_result_code_string(SPI_result));
  PushActiveSnapshot(GetLatestSnapshot());
  const int result =
      SPI_execute_snapshot(plan, nullptr, nullptr, GetActiveSnapshot(), InvalidSnapshot, false, false, 0);
  if (result < 0) elog(ERROR, "could not execute: %s (%s)", statement, SPI_result_code_string(result));
  PopActiveSnapshot();
  SPI_finish();
  owner.finish();
}

}  // namespace sealcast::triggers
