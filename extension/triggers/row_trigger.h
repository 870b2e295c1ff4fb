// Checks how a trigger was attached, and reads its arguments and its row. Used by the triggers idempotent_insert() and
// seal_row().
#pragma once

#include "server/pg.h"

extern "C" {
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/rel.h"
}

namespace sealcast::triggers {

// One call of a trigger function by a BEFORE INSERT FOR EACH ROW trigger.
class RowTrigger {
 public:
  // `usage` is a sample call with all arguments, which errors show in their hints. Raises error 39P01 if the function
  // was not called by such a trigger, or if the number of trigger arguments is not within `min_args` and `max_args`.
  RowTrigger(FunctionCallInfo fcinfo, const char* function, const char* usage, int min_args, int max_args);

  int arg_count() const { return data_->tg_trigger->tgnargs; }
  const char* arg(int i) const { return data_->tg_trigger->tgargs[i]; }
  Relation table() const { return data_->tg_relation; }
  TupleDesc columns() const { return data_->tg_relation->rd_att; }
  HeapTuple row() const { return data_->tg_trigtuple; }
  const char* usage() const { return usage_; }

  // Returns the number of a column of the table, from 1. Raises error 42703 if the column does not exist.
  int column(const char* name) const;
  Oid type_of(int column) const { return TupleDescAttr(columns(), column - 1)->atttypid; }

  // Returns the text form of a column of the row. Raises error 23502 if the value is null.
  char* text_of(const char* name) const;
  [[noreturn]] void raise_null_error(const char* column_name) const;

 private:
  TriggerData* data_;
  const char* function_;
  const char* usage_;
};

}  // namespace sealcast::triggers
