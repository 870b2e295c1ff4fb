// The trigger idempotent_insert(): skips a row of an application's table if its (sender, txn) was inserted before.
//
// Before a row is inserted, the trigger inserts its key (sender, txn) into sealcast.row_keys. If this key exists, the
// trigger skips the row. If an open transaction has inserted the key, the trigger waits until that transaction ends. It
// waits for at most kLockTimeout, or for the lock_timeout of the session if that is set. If that transaction is rolled
// back, the key is free again.
#include "triggers/row_trigger.h"

extern "C" {
#include "catalog/partition.h"
#include "storage/proc.h"
#include "utils/guc.h"
}

namespace sealcast::triggers {

namespace {

constexpr const char* kUsage = "sealcast.idempotent_insert('sender column', 'txn column')";
constexpr const char* kLockTimeout = "5s";
constexpr const char* kInsertKey =
    "insert into sealcast.row_keys (table_id, sender_id, txn_id) values ($1, $2, $3) on conflict do nothing";

enum Argument { kSender, kTxn, kArguments };

struct RowKey {
  const char* table;
  const char* sender;
  const char* txn;
};

void describe(void* argument) {
  const auto* const key = static_cast<const RowKey*>(argument);
  errcontext("inserting the key of sender \"%s\", txn \"%s\" of table \"%s\" for sealcast.idempotent_insert()",
             key->sender, key->txn, key->table);
}

// Returns the id of the table, or of its topmost partitioned table if it is a partition: all partitions share one set
// of keys.
Oid root_of(Relation table) {
  return table->rd_rel->relispartition ? llast_oid(get_partition_ancestors(RelationGetRelid(table)))
                                       : RelationGetRelid(table);
}

SPIPlanPtr insert_plan() {
  static SPIPlanPtr kept = nullptr;
  if (kept == nullptr) {
    Oid types[3] = {REGCLASSOID, TEXTOID, TEXTOID};
    SPIPlanPtr plan = SPI_prepare(kInsertKey, 3, types);
    if (plan == nullptr || SPI_keepplan(plan) != 0) {
      elog(ERROR, "could not prepare the insert of a row key: %s", SPI_result_code_string(SPI_result));
    }
    kept = plan;
  }
  return kept;
}

// Returns false if the key existed.
bool insert_key(Oid table, const RowKey& key) {
  const int guc_level = NewGUCNestLevel();
  if (LockTimeout == 0) {
    set_config_option("lock_timeout", kLockTimeout, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  }
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "could not connect to SPI");
  Datum values[3] = {ObjectIdGetDatum(table), CStringGetTextDatum(key.sender), CStringGetTextDatum(key.txn)};
  const int result = SPI_execute_plan(insert_plan(), values, nullptr, false, 0);
  if (result != SPI_OK_INSERT) elog(ERROR, "could not insert a row key: %s", SPI_result_code_string(result));
  const bool inserted = SPI_processed > 0;
  SPI_finish();
  AtEOXact_GUC(true, guc_level);
  return inserted;
}

}  // namespace

SEALCAST_FUNCTION(sealcast_idempotent_insert) {
  const RowTrigger trigger(fcinfo, "sealcast.idempotent_insert()", kUsage, kArguments, kArguments);
  RowKey key = {RelationGetRelationName(trigger.table()), trigger.text_of(trigger.arg(kSender)),
                trigger.text_of(trigger.arg(kTxn))};
  ErrorContextCallback context = {error_context_stack, describe, &key};
  error_context_stack = &context;
  const bool first = insert_key(root_of(trigger.table()), key);
  error_context_stack = context.previous;
  return PointerGetDatum(first ? trigger.row() : nullptr);
}

}  // namespace sealcast::triggers
