// Inserts many rows into one of our tables at once, as COPY does: with one WAL record per page of rows, and without a
// query plan.
#pragma once

#include "server/pg.h"

namespace sealcast::server {

// Writes the values of row `i` (counted from 0) into `values`, in the order of the `columns` of bulk_insert(). The
// elements of `nulls` are false when the function is called. It sets an element to true for a SQL null.
using FillRow = void (*)(void* context, int i, Datum* values, bool* nulls);

// Inserts `rows` rows; `fill` makes each of them. All rows go into the partition of the first row, so the caller must
// pass rows of one partition. Raises error 23505 if a unique index already contains the key of a row, and 23514 if no
// partition accepts the first row. Raises error 55000 if the table has a trigger for INSERT, which would not fire.
// Other columns get their default or their generated value, as with INSERT.
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
