// Checks how a trigger was attached, and reads its arguments and its row. For both triggers.
#pragma once

#include "server/pg.h"

extern "C" {
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/rel.h"
}

namespace sealcast::triggers {

// One call of a BEFORE INSERT row trigger. The number of its arguments is checked.
class RowTrigger {
 public:
  // `usage` shows the arguments in the hints of errors. Error 39P01 if the trigger is attached wrongly.
  RowTrigger(FunctionCallInfo fcinfo, const char* function, const char* usage, int min_args, int max_args);

  int arg_count() const { return data_->tg_trigger->tgnargs; }
  const char* arg(int i) const { return data_->tg_trigger->tgargs[i]; }
  Relation table() const { return data_->tg_relation; }
  TupleDesc columns() const { return data_->tg_relation->rd_att; }
  HeapTuple row() const { return data_->tg_trigtuple; }
  const char* usage() const { return usage_; }

  // Returns the number of a column; error 42703 if it does not exist.
  int column(const char* name) const;
  Oid type_of(int column) const { return TupleDescAttr(columns(), column - 1)->atttypid; }

  // Returns a value of any type as text; error 23502 if it is null.
  char* text_of(const char* name) const;
  [[noreturn]] void raise_null_error(const char* column_name) const;

 private:
  TriggerData* data_;
  const char* function_;
  const char* usage_;
};

}  // namespace sealcast::triggers
