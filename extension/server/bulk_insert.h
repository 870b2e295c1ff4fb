// Inserts many rows into one of our tables at once, as COPY does: one heap record per page of rows, without the
// executor.
#pragma once

#include "server/pg.h"

namespace sealcast::server {

// Writes the values of row `i`, from 0, into `values`, in the order of the named columns. All `nulls` are false before.
using FillRow = void (*)(void* context, int i, Datum* values, bool* nulls);

// All rows go into the partition of the first row. Error 23505 if a unique index already has a row, 23514 if no
// partition takes it. A table with a trigger is refused, because the trigger would not fire.
void bulk_insert(const char* table, std::span<const char* const> columns, int rows, FillRow fill, void* context);

template <class Lambda>
void bulk_insert(const char* table, std::span<const char* const> columns, int rows, Lambda fill) {
  static_assert(std::is_trivially_destructible_v<Lambda>, "capture by reference");
  bulk_insert(
      table, columns, rows,
      [](void* context, int i, Datum* values, bool* nulls) { (*static_cast<Lambda*>(context))(i, values, nulls); },
      &fill);
}

}  // namespace sealcast::server
