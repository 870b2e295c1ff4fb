// What both triggers check about how they were attached, and how they read the row: see trigger_args.h.
#include "triggers/trigger_args.h"

namespace sealcast::triggers {

RowTrigger::RowTrigger(FunctionCallInfo fcinfo, const char* function, const char* usage, int least_args, int most_args)
    : data_(reinterpret_cast<TriggerData*>(fcinfo->context)), function_(function), usage_(usage) {
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data_->tg_event) || !TRIGGER_FIRED_FOR_ROW(data_->tg_event) ||
      !TRIGGER_FIRED_BY_INSERT(data_->tg_event)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("%s must be called by a trigger BEFORE INSERT FOR EACH ROW", function),
                    errhint("create trigger … before insert on … for each row execute function %s", usage)));
  }
  if (arg_count() < least_args || arg_count() > most_args) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("trigger \"%s\" of table \"%s\" gives %s %d arguments", data_->tg_trigger->tgname,
                           RelationGetRelationName(table()), function, arg_count()),
                    errhint("It takes %s.", usage)));
  }
}

int RowTrigger::column(const char* name) const {
  const int number = SPI_fnumber(columns(), name);
  if (number <= 0) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("table \"%s\" has no column \"%s\", which trigger \"%s\" names",
                           RelationGetRelationName(table()), name, data_->tg_trigger->tgname),
                    errhint("The trigger's arguments are %s.", usage_)));
  }
  return number;
}

char* RowTrigger::text_of(const char* name) const {
  char* const value = SPI_getvalue(row(), columns(), column(name));
  if (value == nullptr) refuse_null(name);
  return value;
}

void RowTrigger::refuse_null(const char* column_name) const {
  ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                  errmsg("column \"%s\" of table \"%s\" is null, but %s needs it", column_name,
                         RelationGetRelationName(table()), function_),
                  errhint("Give it a value or a default; a value that a later trigger sets comes too late (triggers "
                          "fire in the order of their names)."),
                  errtablecol(table(), SPI_fnumber(columns(), column_name))));
  pg_unreachable();
}

}  // namespace sealcast::triggers
