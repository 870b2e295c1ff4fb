// Makes the companions of idempotent_insert(), checks how both triggers are attached, and runs the companions.
#include "triggers/companions.h"

#include <algorithm>

#include "server/versions.h"
#include "triggers/reservations.h"
#include "triggers/row_key.h"
#include "triggers/row_keys_table.h"
#include "triggers/row_trigger.h"

extern "C" {
#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace sealcast::triggers {
namespace {

constexpr const char* kIdempotentInsert = "sealcast.idempotent_insert";
constexpr const char* kSealRow = "sealcast.seal_row";
constexpr const char* kCompanion = "sealcast_internal.row_companion";

// The arguments of a companion. If one of them is no longer right, the companions are made again.
enum Argument { kSender, kTxn, kSenderType, kTxnType, kRoot, kArguments };
struct Arguments {
  char* value[kArguments];
};

// Returns the id of a function without arguments. The caller needs no right on the schema.
Oid function_id(const char* qualified) {
  const char* const dot = std::strchr(qualified, '.');
  const Oid schema = get_namespace_oid(pnstrdup(qualified, static_cast<Size>(dot - qualified)), false);
  const Oid found = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(dot + 1),
                                    PointerGetDatum(buildoidvector(nullptr, 0)), ObjectIdGetDatum(schema));
  if (!OidIsValid(found)) elog(ERROR, "function %s() does not exist", qualified);
  return found;
}

std::span<const Trigger> triggers_of(Relation table) {
  if (table->trigdesc == nullptr) return {};
  return {table->trigdesc->triggers, static_cast<std::size_t>(table->trigdesc->numtriggers)};
}

std::size_t count_companions(Relation table, Oid function, const Trigger** first) {
  std::size_t count = 0;
  for (const Trigger& trigger : triggers_of(table)) {
    if (!trigger.tgisinternal || trigger.tgfoid != function) continue;
    if (count++ == 0) *first = &trigger;
  }
  return count;
}

// A partitioned table has no rows, and a foreign table cannot have a TRUNCATE trigger in all versions of Postgres.
bool has_rows(Relation table) { return table->rd_rel->relkind != RELKIND_PARTITIONED_TABLE; }
bool is_foreign(Relation table) { return table->rd_rel->relkind == RELKIND_FOREIGN_TABLE; }
std::size_t companions_needed(Relation table) { return !has_rows(table) ? 1 : is_foreign(table) ? 2 : 3; }

const char* quoted_name(Relation table) {
  return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)), RelationGetRelationName(table));
}

// Returns a query for the keys of the rows that the table stores itself.
char* key_query(Relation table, const char* sender, const char* txn) {
  return psprintf("select sealcast_internal.row_key(t.%s, t.%s) as key from %s %s t", pstrdup(quote_identifier(sender)),
                  pstrdup(quote_identifier(txn)), has_rows(table) ? "only" : "", quoted_name(table));
}

// Inserts the keys of the rows that are in the table already, and the keys that the table had before it became a
// partition. A foreign table is not read: its server could refuse the extension's owner.
void learn_keys(Relation table, const Arguments& arguments) {
  const Oid id = RelationGetRelid(table);
  if (id != root_of(table)) {
    change_row_keys(
        psprintf("with own as (delete from sealcast_internal.row_keys where table_id = %u returning key) "
                 "insert into sealcast_internal.row_keys select %s, key from own on conflict do nothing",
                 id, arguments.value[kRoot]));
  }
  if (is_foreign(table) || !has_rows(table)) return;
  change_row_keys(
      psprintf("insert into sealcast_internal.row_keys select %s, q.key from (%s) q where q.key is not null "
               "on conflict do nothing",
               arguments.value[kRoot], key_query(table, arguments.value[kSender], arguments.value[kTxn])));
}

void create_companion(Relation table, Oid function, Oid main, const Arguments& arguments, bool row, int16 timing,
                      int16 events) {
  CreateTrigStmt* const statement = makeNode(CreateTrigStmt);
  statement->trigname = pstrdup("sealcast_row_companion");
  for (char* argument : arguments.value) statement->args = lappend(statement->args, makeString(argument));
  statement->row = row;
  statement->timing = timing;
  statement->events = events;
  // It also fires in the replica role, so that restores and replication record keys.
  const ObjectAddress made =
      CreateTriggerFiringOn(statement, nullptr, RelationGetRelid(table), InvalidOid, InvalidOid, InvalidOid, function,
                            InvalidOid, nullptr, true, false, TRIGGER_FIRES_ALWAYS);
  const ObjectAddress owner = {TriggerRelationId, main, 0};
  recordDependencyOn(&made, &owner, DEPENDENCY_AUTO);
}

void create_companions(Relation table, Oid function, Oid main, const Arguments& arguments) {
  if (has_rows(table)) {
    // Not UPDATE OF the key columns: their types could not be changed any more.
    create_companion(table, function, main, arguments, true, TRIGGER_TYPE_AFTER,
                     TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE);
    create_companion(table, function, main, arguments, true, TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_DELETE);
  }
  if (!is_foreign(table)) {
    create_companion(table, function, main, arguments, false, TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_TRUNCATE);
  }
  CommandCounterIncrement();
}

void drop_companions(Relation table, Oid function) {
  List* found = NIL;
  for (const Trigger& trigger : triggers_of(table)) {
    if (trigger.tgisinternal && trigger.tgfoid == function) found = lappend_oid(found, trigger.tgoid);
  }
  ListCell* cell;
  foreach (cell, found) {
    const ObjectAddress object = {TriggerRelationId, lfirst_oid(cell), 0};
    performDeletion(&object, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
  }
  CommandCounterIncrement();
}

Arguments arguments_of(Relation table, const Trigger& main) {
  Arguments arguments;
  for (int i = 0; i < 2; ++i) {
    arguments.value[kSender + i] = pstrdup(main.tgargs[i]);
    const Form_pg_attribute column =
        TupleDescAttr(RelationGetDescr(table), SPI_fnumber(RelationGetDescr(table), main.tgargs[i]) - 1);
    arguments.value[kSenderType + i] = psprintf("%u", column->atttypid);
  }
  arguments.value[kRoot] = psprintf("%u", root_of(table));
  return arguments;
}

bool equal(const Arguments& arguments, const Trigger& companion) {
  for (int i = 0; i < kArguments; ++i) {
    if (std::strcmp(arguments.value[i], companion.tgargs[i]) != 0) return false;
  }
  return true;
}

// Raises an error if a trigger of ours is attached wrongly.
void validate(Relation table, Oid idempotent, Oid seal) {
  const Trigger* first = nullptr;
  for (const Trigger& trigger : triggers_of(table)) {
    if (trigger.tgfoid == seal) RowTrigger::validate_seal_row(table, trigger);
    if (trigger.tgfoid != idempotent) continue;
    RowTrigger::validate_idempotent_insert(table, trigger);
    if (first == nullptr) first = &trigger;
    if (std::strcmp(first->tgargs[0], trigger.tgargs[0]) == 0 &&
        std::strcmp(first->tgargs[1], trigger.tgargs[1]) == 0) {
      continue;
    }
    ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
                    errmsg("table \"%s\" has two triggers with sealcast.idempotent_insert() for different columns: "
                           "\"%s\" and \"%s\"",
                           RelationGetRelationName(table), first->tgname, trigger.tgname),
                    errhint("A table has one set of keys. Drop one of the triggers.")));
  }
}

// Returns whether the trigger fires under the setting session_replication_role of this session.
bool fires(const Trigger& trigger) {
  const char other =
      SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ? TRIGGER_FIRES_ON_ORIGIN : TRIGGER_FIRES_ON_REPLICA;
  return trigger.tgenabled != TRIGGER_DISABLED && trigger.tgenabled != other;
}

const Trigger* idempotent_of(Relation table, Oid function, bool enabled_only) {
  for (const Trigger& trigger : triggers_of(table)) {
    if (trigger.tgfoid != function || trigger.tgisinternal) continue;
    if (!enabled_only || fires(trigger)) return &trigger;
  }
  return nullptr;
}

// Returns whether the table has triggers of ours that need companions or have wrong ones.
bool needs_companions(Relation table, const Trigger& main, Oid function, const Arguments& arguments) {
  const Trigger* companion = nullptr;
  if (count_companions(table, function, &companion) != companions_needed(table)) return true;
  if (!equal(arguments, *companion)) return true;
  for (const Trigger& trigger : triggers_of(table)) {
    if (!trigger.tgisinternal || trigger.tgfoid != function || trigger.tgenabled == TRIGGER_FIRES_ALWAYS) continue;
    // DISABLE TRIGGER ALL stays in effect until ENABLE TRIGGER ALL. Then rows may have come without their keys.
    if (trigger.tgenabled != TRIGGER_DISABLED || main.tgenabled != TRIGGER_DISABLED) return true;
  }
  return false;
}

}  // namespace

const Trigger* first_idempotent(Relation table) { return idempotent_of(table, function_id(kIdempotentInsert), true); }

void require_companions(Relation table) {
  const Trigger* companion = nullptr;
  if (count_companions(table, function_id(kCompanion), &companion) == companions_needed(table)) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("table \"%s\" lacks the internal triggers of sealcast.idempotent_insert()",
                         RelationGetRelationName(table)),
                  errhint("The event trigger sealcast_row_triggers did not run. Run: select * from "
                          "sealcast.repair_row_triggers().")));
}

// Counts invalidations: the partitions or triggers of some table may have changed.
uint64 changes = 0;

void count_change(Datum, Oid) { ++changes; }

bool notice_all_deletions(Oid root) {
  // The last answer. Repeats are common, and a table may have many partitions, whose owners lock them.
  static struct {
    Oid root = InvalidOid;
    int role = 0;
    uint64 changes = 0;
  } noticed;
  static bool registered = false;
  if (!registered) CacheRegisterRelcacheCallback(count_change, Datum{0});
  registered = true;
  if (noticed.root == root && noticed.role == SessionReplicationRole && noticed.changes == changes) return true;
  const uint64 before = changes;
  const Oid companion = function_id(kCompanion);
  ListCell* cell;
  foreach (cell, find_all_inheritors(root, AccessShareLock, nullptr)) {
    Relation const partition = relation_open(lfirst_oid(cell), NoLock);
    const std::span<const Trigger> triggers = triggers_of(partition);
    const bool noticed_here =
        !has_rows(partition) || std::any_of(triggers.begin(), triggers.end(), [&](const Trigger& each) {
          return each.tgisinternal && each.tgfoid == companion && TRIGGER_FOR_DELETE(each.tgtype) && fires(each);
        });
    relation_close(partition, AccessShareLock);
    if (!noticed_here) return false;
  }
  noticed = {root, SessionReplicationRole, before};
  return true;
}

// sealcast_internal.attach_row_companions(relation oid, wait boolean) returns boolean. Checks the triggers of a table
// of an application. Makes the companions and learns the keys of the rows, if needed. Returns whether it did. Without
// `wait`, it waits for no lock and returns null if it did not get one.
SEALCAST_FUNCTION(sealcast_attach_row_companions) {
  const Oid id = PG_GETARG_OID(0);
  const bool wait = PG_GETARG_BOOL(1);
  if (!wait && !ConditionalLockRelationOid(id, AccessShareLock)) PG_RETURN_NULL();
  if (wait) LockRelationOid(id, AccessShareLock);
  Relation table = try_relation_open(id, NoLock);
  if (table == nullptr) PG_RETURN_BOOL(false);
  const Oid companion = function_id(kCompanion);
  const Oid idempotent = function_id(kIdempotentInsert);
  validate(table, idempotent, function_id(kSealRow));
  const Trigger* main = idempotent_of(table, idempotent, false);
  bool needed = main != nullptr && needs_companions(table, *main, companion, arguments_of(table, *main));
  if (needed) {
    if (wait) {
      LockRelationOid(id, ShareRowExclusiveLock);
    } else if (!ConditionalLockRelationOid(id, ShareRowExclusiveLock)) {
      relation_close(table, AccessShareLock);
      PG_RETURN_NULL();
    }
    // Waiting for the lock may have read the triggers of the table again.
    main = idempotent_of(table, idempotent, false);
    if (main == nullptr) elog(ERROR, "table \"%s\" was changed at the same time", RelationGetRelationName(table));
    const Arguments arguments = arguments_of(table, *main);
    const Oid main_id = main->tgoid;
    drop_companions(table, companion);
    create_companions(table, companion, main_id, arguments);
    learn_keys(table, arguments);
  }
  relation_close(table, needed ? NoLock : AccessShareLock);
  PG_RETURN_BOOL(needed);
}

// Returns whether the arguments of the trigger name two columns whose values can be keys.
static bool can_have_keys(Relation table, const Trigger& trigger) {
  if (trigger.tgnargs != 2) return false;
  for (int i = 0; i < 2; ++i) {
    const int number = SPI_fnumber(RelationGetDescr(table), trigger.tgargs[i]);
    if (number <= 0) return false;
    const Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), number - 1);
    if (problem_of_key_type(column->atttypid, column->attcollation) != nullptr) return false;
  }
  return true;
}

// sealcast_internal.row_key_query(relation oid) returns text. Returns a query for the keys of the rows that the table
// stores itself. Returns null for a foreign table, and for a table without a usable trigger idempotent_insert().
SEALCAST_FUNCTION(sealcast_row_key_query) {
  Relation const table = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
  if (table == nullptr) PG_RETURN_NULL();
  const Trigger* const main = idempotent_of(table, function_id(kIdempotentInsert), false);
  char* const query = main == nullptr || is_foreign(table) || !can_have_keys(table, *main)
                          ? nullptr
                          : key_query(table, main->tgargs[0], main->tgargs[1]);
  relation_close(table, NoLock);
  if (query == nullptr) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text(query));
}

namespace {

// Returns nullopt if a column is null: such a row has no key.
std::optional<RowKey> key_of(const TriggerData* data, HeapTuple row) {
  KeyColumn columns[2];
  const TupleDesc all = RelationGetDescr(data->tg_relation);
  for (int i = 0; i < 2; ++i) {
    const int number = SPI_fnumber(all, data->tg_trigger->tgargs[i]);
    if (number <= 0) return std::nullopt;
    bool is_null;
    columns[i].value = SPI_getbinval(row, all, number, &is_null);
    if (is_null) return std::nullopt;
    columns[i].type = TupleDescAttr(all, number - 1)->atttypid;
    columns[i].collation = TupleDescAttr(all, number - 1)->attcollation;
  }
  return make_row_key(root_of(data->tg_relation), columns[0], columns[1]);
}

// Returns whether an update has left the bytes of both columns as they were.
bool keeps_key(const TriggerData* data) {
  const TupleDesc all = RelationGetDescr(data->tg_relation);
  for (int i = 0; i < 2; ++i) {
    const int number = SPI_fnumber(all, data->tg_trigger->tgargs[i]);
    if (number <= 0) continue;
    const Form_pg_attribute column = TupleDescAttr(all, number - 1);
    bool was_null, is_null;
    const Datum before = SPI_getbinval(data->tg_trigtuple, all, number, &was_null);
    const Datum after = SPI_getbinval(data->tg_newtuple, all, number, &is_null);
    if (was_null != is_null) return false;
    if (!is_null && !datum_image_eq(before, after, column->attbyval, column->attlen)) return false;
  }
  return true;
}

void free_keys(Relation table, const Trigger& trigger) {
  const Oid root = root_of(table);
  if (root == RelationGetRelid(table)) return delete_row_keys(root);
  if (!has_rows(table)) return;
  change_row_keys(
      psprintf("delete from sealcast_internal.row_keys where (select exists (select from sealcast_internal.row_keys "
               "where table_id = %u)) "
               "and table_id = %u and key in (%s)",
               root, root, key_query(table, trigger.tgargs[0], trigger.tgargs[1])));
}

}  // namespace

SEALCAST_FUNCTION(sealcast_row_companion) {
  if (!CALLED_AS_TRIGGER(fcinfo)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("sealcast_internal.row_companion() must be called by a trigger")));
  }
  const auto* const data = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (data->tg_trigger->tgnargs != kArguments) {
    elog(ERROR, "trigger \"%s\" was not made by sealcast", data->tg_trigger->tgname);
  }
  if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event)) {
    free_keys(data->tg_relation, *data->tg_trigger);
    return PointerGetDatum(nullptr);
  }
  const bool updated = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
  if (updated && keeps_key(data)) return PointerGetDatum(nullptr);
  const std::optional<RowKey> key = key_of(data, updated ? data->tg_newtuple : data->tg_trigtuple);
  if (TRIGGER_FIRED_BY_DELETE(data->tg_event)) {
    if (key) reservations::note_deleted(reservations::statement_of(fcinfo->flinfo), *key);
    return PointerGetDatum(data->tg_trigtuple);
  }
  if (key && !reservations::confirm(*key)) insert_row_key(*key);
  return PointerGetDatum(nullptr);
}

}  // namespace sealcast::triggers
