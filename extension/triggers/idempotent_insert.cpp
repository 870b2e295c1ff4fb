// The trigger idempotent_insert(): skips a row of an application's table if its (sender, txn) was inserted before.
//
// Before a row is inserted, the trigger reserves its key (sender, txn): it inserts the key into
// sealcast_internal.row_keys. If the key exists, the trigger skips the row. A companion trigger (companions.h) confirms
// the key after the row was inserted. If an open transaction has inserted the key, the trigger waits until that
// transaction ends. If that transaction is rolled back, the key is free again.
#include "triggers/companions.h"
#include "triggers/reservations.h"
#include "triggers/row_keys_table.h"
#include "triggers/row_trigger.h"

namespace sealcast::triggers {

namespace {

struct Context {
  const RowTrigger* trigger;
};

void describe(void* argument) {
  const RowTrigger& trigger = *static_cast<const Context*>(argument)->trigger;
  errcontext("inserting the key (\"%s\", \"%s\") of a row of table \"%s\" for sealcast.idempotent_insert()",
             trigger.arg(0), trigger.arg(1), RelationGetRelationName(trigger.table()));
}

// Returns whether the row is to be inserted.
bool admit(FmgrInfo* info, const RowTrigger& trigger) {
  const bool first_call = info->fn_extra == nullptr;
  reservations::Statement& statement = reservations::statement_of(info);
  if (first_call) require_companions(trigger.table());
  const Oid root = root_of(trigger.table());
  const RowKey key = make_row_key(root, trigger.key_column(0), trigger.key_column(1));
  if (reservations::take_deleted(statement, key)) return true;
  if (!insert_row_key(key) && !reservations::take_returned(key)) {
    if (!trigger.table()->rd_rel->relispartition || !reservations::may_be_moving(statement, root)) return false;
    ereport(ERROR,
            (errcode(ERRCODE_UNIQUE_VIOLATION),
             errmsg("a row that may move to partition \"%s\" has a key that was used before",
                    RelationGetRelationName(trigger.table())),
             errhint("Skipping the row would lose it. Keep its values of the columns \"%s\" and \"%s\", delete and "
                     "insert at most 65536 rows in one statement, and create the trigger on the partitioned table, not "
                     "on some of its partitions.",
                     trigger.arg(0), trigger.arg(1))));
  }
  reservations::reserve(statement, key);
  return true;
}

}  // namespace

SEALCAST_FUNCTION(sealcast_idempotent_insert) {
  const RowTrigger trigger(fcinfo, RowTrigger::kIdempotentInsert);
  // A partition may have a trigger of its own beside the one of its partitioned table. The first one decides.
  const Trigger* const first = first_idempotent(trigger.table());
  if (first != nullptr && first->tgoid != trigger.id()) return PointerGetDatum(trigger.row());
  Context where = {&trigger};
  ErrorContextCallback context = {error_context_stack, describe, &where};
  error_context_stack = &context;
  const bool inserted = admit(fcinfo->flinfo, trigger);
  error_context_stack = context.previous;
  return PointerGetDatum(inserted ? trigger.row() : nullptr);
}

}  // namespace sealcast::triggers
