// Checks how a trigger is attached, and reads its arguments and its row. Used by the triggers idempotent_insert() and
// seal_row().
#pragma once

#include "server/pg.h"
#include "triggers/row_key.h"

extern "C" {
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/rel.h"
}

namespace sealcast::triggers {

// One of the two trigger functions. `usage` is a sample call with all arguments, which errors show in their hints.
struct RowFunction {
  const char* name;
  const char* usage;
  int min_args;
  int max_args;
};

// A trigger of a table and, while it fires, its row.
class RowTrigger {
 public:
  static const RowFunction kIdempotentInsert;
  static const RowFunction kSealRow;

  // Raises error 39P01 if the function was not called by a BEFORE INSERT FOR EACH ROW trigger, or if the number of
  // trigger arguments is wrong.
  RowTrigger(FunctionCallInfo fcinfo, const RowFunction& function);

  // Raise an error if the trigger of the table is attached wrongly. They are called when the trigger is created and
  // when the table changes.
  static void validate_idempotent_insert(Relation table, const Trigger& trigger);
  static void validate_seal_row(Relation table, const Trigger& trigger);

  Oid id() const { return trigger_->tgoid; }
  int arg_count() const { return trigger_->tgnargs; }
  const char* arg(int i) const { return trigger_->tgargs[i]; }
  Relation table() const { return table_; }
  TupleDesc columns() const { return RelationGetDescr(table_); }
  HeapTuple row() const { return row_; }

  // Returns the number of a column of the table, from 1. Raises error 42703 if the column does not exist.
  int column(const char* name) const;
  Oid type_of(int column) const { return TupleDescAttr(columns(), column - 1)->atttypid; }
  // Raises error 42804 if the column is neither json nor jsonb.
  void require_json(const char* name) const;

  // Return a column of the row: text_of() its text form, key_column() the column that argument `i` names. They raise
  // error 23502 if the value is null.
  char* text_of(const char* name) const;
  KeyColumn key_column(int i) const;
  [[noreturn]] void raise_null_error(const char* column_name) const;

 private:
  RowTrigger(Relation table, const Trigger& trigger, const RowFunction& function);

  const RowFunction& function_;
  const Trigger* trigger_;
  Relation table_;
  HeapTuple row_ = nullptr;
};

}  // namespace sealcast::triggers
