// Reads the arguments and the row of a trigger. Raises an error if the trigger is attached wrongly or a value is null.
#include "triggers/row_trigger.h"

namespace sealcast::triggers {

RowTrigger::RowTrigger(FunctionCallInfo fcinfo, const char* function, const char* usage, int min_args, int max_args)
    : data_(reinterpret_cast<TriggerData*>(fcinfo->context)), function_(function), usage_(usage) {
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data_->tg_event) || !TRIGGER_FIRED_FOR_ROW(data_->tg_event) ||
      !TRIGGER_FIRED_BY_INSERT(data_->tg_event)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("%s must be called by a BEFORE INSERT trigger FOR EACH ROW", function),
                    errhint("Run: create trigger … before insert on … for each row execute function %s.", usage)));
  }
  if (arg_count() < min_args || arg_count() > max_args) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("trigger \"%s\" of table \"%s\" passes a wrong number of arguments to %s: %d",
                           data_->tg_trigger->tgname, RelationGetRelationName(table()), function, arg_count()),
                    errhint("Use %s.", usage)));
  }
}

int RowTrigger::column(const char* name) const {
  const int number = SPI_fnumber(columns(), name);
  if (number <= 0) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("column \"%s\" in trigger \"%s\" of table \"%s\" does not exist", name,
                           data_->tg_trigger->tgname, RelationGetRelationName(table())),
                    errhint("The trigger's arguments are %s.", usage_)));
  }
  return number;
}

char* RowTrigger::text_of(const char* name) const {
  char* const value = SPI_getvalue(row(), columns(), column(name));
  if (value == nullptr) raise_null_error(name);
  return value;
}

void RowTrigger::raise_null_error(const char* column_name) const {
  ereport(ERROR,
          (errcode(ERRCODE_NOT_NULL_VIOLATION),
           errmsg("column \"%s\" of table \"%s\" is null, but %s needs it", column_name,
                  RelationGetRelationName(table()), function_),
           errhint("Set a value or a default. A trigger that sets the value must have a name that sorts before this "
                   "one, because triggers fire in the order of their names."),
           errtablecol(table(), SPI_fnumber(columns(), column_name))));
  pg_unreachable();
}

}  // namespace sealcast::triggers
