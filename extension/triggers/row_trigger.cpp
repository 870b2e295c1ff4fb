// Reads the arguments and the row of a trigger. Raises an error if the trigger is attached wrongly or a value is null.
#include "triggers/row_trigger.h"

extern "C" {
#include "catalog/pg_trigger.h"
}

namespace sealcast::triggers {

const RowFunction RowTrigger::kIdempotentInsert = {"sealcast.idempotent_insert()",
                                                   "sealcast.idempotent_insert('sender column', 'txn column')", 2, 2};
const RowFunction RowTrigger::kSealRow = {
    "sealcast.seal_row()",
    "sealcast.seal_row('sealed column', 'message type or :column', 'stream column', 'sender column', 'txn column' "
    "[, 'payload column'])",
    5, 6};

namespace {

[[noreturn]] void raise_not_before_insert(const RowFunction& function) {
  ereport(ERROR,
          (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
           errmsg("%s must be called by a BEFORE INSERT trigger FOR EACH ROW", function.name),
           errhint("Run: create trigger … before insert on … for each row execute function %s.", function.usage)));
  pg_unreachable();
}

const TriggerData& data_of(FunctionCallInfo fcinfo, const RowFunction& function) {
  if (!CALLED_AS_TRIGGER(fcinfo)) raise_not_before_insert(function);
  return *reinterpret_cast<const TriggerData*>(fcinfo->context);
}

}  // namespace

RowTrigger::RowTrigger(Relation table, const Trigger& trigger, const RowFunction& function)
    : function_(function), trigger_(&trigger), table_(table) {
  constexpr int16 kShape = TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT;
  if (trigger.tgtype != kShape) raise_not_before_insert(function);
  if (arg_count() < function.min_args || arg_count() > function.max_args) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("trigger \"%s\" of table \"%s\" passes a wrong number of arguments to %s: %d",
                           trigger.tgname, RelationGetRelationName(table), function.name, arg_count()),
                    errhint("Use %s.", function.usage)));
  }
}

RowTrigger::RowTrigger(FunctionCallInfo fcinfo, const RowFunction& function)
    : RowTrigger(data_of(fcinfo, function).tg_relation, *data_of(fcinfo, function).tg_trigger, function) {
  row_ = data_of(fcinfo, function).tg_trigtuple;
}

void RowTrigger::validate_idempotent_insert(Relation table, const Trigger& data) {
  const RowTrigger trigger(table, data, kIdempotentInsert);
  if (table->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("table \"%s\" is temporary or unlogged, so %s cannot be used with it",
                           RelationGetRelationName(table), kIdempotentInsert.name),
                    errdetail("Postgres may empty the table without a trigger: at the end of a transaction, or after a "
                              "crash. The keys of its rows would stay, and the same rows would be skipped."),
                    errhint("Use an ordinary table (ALTER TABLE … SET LOGGED), or a unique index and INSERT … ON "
                            "CONFLICT DO NOTHING.")));
  }
  for (int i = 0; i < 2; ++i) {
    const Form_pg_attribute column = TupleDescAttr(trigger.columns(), trigger.column(trigger.arg(i)) - 1);
    const char* const problem = problem_of_key_type(column->atttypid, column->attcollation);
    if (problem == nullptr) continue;
    ereport(ERROR,
            (errcode(ERRCODE_DATATYPE_MISMATCH),
             errmsg("column \"%s\" of table \"%s\" is of type %s, which cannot be a key of %s: %s", trigger.arg(i),
                    RelationGetRelationName(table), format_type_be(column->atttypid), kIdempotentInsert.name, problem),
             errhint("Use a column of type text (with a deterministic collation), uuid, bigint or bytea.")));
  }
}

void RowTrigger::validate_seal_row(Relation table, const Trigger& data) {
  const RowTrigger trigger(table, data, kSealRow);
  for (int i = 0; i < trigger.arg_count(); ++i) {
    const char* const name = trigger.arg(i);
    if (i == 1 && name[0] != ':') continue;
    trigger.column(i == 1 ? name + 1 : name);
    if (i == 0 || i == 5) trigger.require_json(name);
  }
}

int RowTrigger::column(const char* name) const {
  const int number = SPI_fnumber(columns(), name);
  if (number <= 0) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("column \"%s\" in trigger \"%s\" of table \"%s\" does not exist", name, trigger_->tgname,
                           RelationGetRelationName(table_)),
                    errhint("The trigger's arguments are %s. To rename or drop the column, drop the trigger first and "
                            "create it again.",
                            function_.usage)));
  }
  return number;
}

void RowTrigger::require_json(const char* name) const {
  const Oid type = type_of(column(name));
  if (type == JSONOID || type == JSONBOID) return;
  ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                  errmsg("column \"%s\" of table \"%s\" is of type %s, not json or jsonb", name,
                         RelationGetRelationName(table_), format_type_be(type)),
                  errhint("The trigger's arguments are %s.", function_.usage)));
}

char* RowTrigger::text_of(const char* name) const {
  char* const value = SPI_getvalue(row(), columns(), column(name));
  if (value == nullptr) raise_null_error(name);
  return value;
}

KeyColumn RowTrigger::key_column(int i) const {
  const Form_pg_attribute column = TupleDescAttr(columns(), this->column(arg(i)) - 1);
  bool is_null;
  const Datum value = SPI_getbinval(row(), columns(), column->attnum, &is_null);
  if (is_null) raise_null_error(arg(i));
  return {value, column->atttypid, column->attcollation};
}

void RowTrigger::raise_null_error(const char* column_name) const {
  ereport(ERROR,
          (errcode(ERRCODE_NOT_NULL_VIOLATION),
           errmsg("column \"%s\" of table \"%s\" is null, but %s needs it", column_name,
                  RelationGetRelationName(table_), function_.name),
           errhint("Set a value or a default. A trigger that sets the value must have a name that sorts before this "
                   "one, because triggers fire in the order of their names."),
           errtablecol(table_, SPI_fnumber(columns(), column_name))));
  pg_unreachable();
}

}  // namespace sealcast::triggers
