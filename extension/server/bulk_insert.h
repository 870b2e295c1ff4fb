// Many rows into one of our tables at once, as COPY does it: one heap record for a page of rows instead of a trip
// through the executor for each.
#pragma once

#include "server/pg.h"

namespace sealcast::server {

// Writes the values of row `i` (from 0) into `values`, in the order of the columns that were named; `nulls` are all
// false before.
using FillRow = void (*)(void* context, int i, Datum* values, bool* nulls);

// All rows go into the partition of the first. 23505 where a unique index holds a row already, 23514 when no partition
// takes it. Triggers would not fire, so a table that has some is refused.
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
