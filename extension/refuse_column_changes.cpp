// The event trigger that refuses to change the columns of the extensions' tables: a dump holds their rows, but not such
// a change, so the dump could not be restored.
#include "server/pg.h"

extern "C" {
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"
}

namespace sealcast {

namespace {

// Returns the table whose columns the statement changes, or null.
RangeVar* table_of_column_change(Node* statement) {
  if (IsA(statement, RenameStmt)) {
    const auto* const rename = reinterpret_cast<RenameStmt*>(statement);
    return rename->renameType == OBJECT_COLUMN ? rename->relation : nullptr;
  }
  if (!IsA(statement, AlterTableStmt)) return nullptr;
  const auto* const alter = reinterpret_cast<AlterTableStmt*>(statement);
  ListCell* cell;
  foreach (cell, alter->cmds) {
    const AlterTableType change = lfirst_node(AlterTableCmd, cell)->subtype;
    if (change == AT_AddColumn || change == AT_DropColumn || change == AT_AlterColumnType) return alter->relation;
  }
  return nullptr;
}

}  // namespace

SEALCAST_FUNCTION(sealcast_refuse_column_changes) {
  if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("refuse_column_changes() is not called by an event trigger")));
  }
  // The scripts of extensions and pg_upgrade change our tables.
  if (creating_extension || IsBinaryUpgrade) PG_RETURN_NULL();
  RangeVar* const name = table_of_column_change(reinterpret_cast<EventTriggerData*>(fcinfo->context)->parsetree);
  if (name == nullptr) PG_RETURN_NULL();
  const Oid table = RangeVarGetRelid(name, NoLock, true);
  const Oid extension = OidIsValid(table) ? getExtensionOfObject(RelationRelationId, table) : InvalidOid;
  if (!OidIsValid(extension)) PG_RETURN_NULL();
  const char* const owner = get_extension_name(extension);
  if (owner == nullptr || (std::strcmp(owner, "sealcast") != 0 && std::strcmp(owner, "sealcast_economy") != 0)) {
    PG_RETURN_NULL();
  }
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("the columns of table %s.%s belong to the extension %s",
                         get_namespace_name(get_rel_namespace(table)), get_rel_name(table), owner),
                  errdetail("pg_dump writes the rows of this table, but not a change of its columns, so the dump could "
                            "not be restored."),
                  errhint("Put your data about a stream into the column metadata of sealcast.streams, and other data "
                          "into a table of your own, for example with a column stream_id.")));
}

}  // namespace sealcast
