// What both triggers check about how they were attached, and how they read the row.
#pragma once

#include "server/pg.h"

extern "C" {
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/rel.h"
}

namespace sealcast::triggers {

// One firing of a BEFORE INSERT row trigger, with its arguments checked in number.
class RowTrigger {
 public:
  // `usage` shows the arguments, for the hint of every complaint.
  RowTrigger(FunctionCallInfo fcinfo, const char* function, const char* usage, int least_args, int most_args);

  int arg_count() const { return data_->tg_trigger->tgnargs; }
  const char* arg(int i) const { return data_->tg_trigger->tgargs[i]; }
  Relation table() const { return data_->tg_relation; }
  TupleDesc columns() const { return data_->tg_relation->rd_att; }
  HeapTuple row() const { return data_->tg_trigtuple; }
  const char* usage() const { return usage_; }

  // The number of the column of that name; 42703 when there is none.
  int column(const char* name) const;
  Oid type_of(int column) const { return TupleDescAttr(columns(), column - 1)->atttypid; }

  // The value as text, of whatever type; 23502 when it is null.
  char* text_of(const char* name) const;
  [[noreturn]] void refuse_null(const char* column_name) const;

 private:
  TriggerData* data_;
  const char* function_;
  const char* usage_;
};

}  // namespace sealcast::triggers
