// Finds rows by an index, without a query plan. A batch needs a few dozen look-ups of about a microsecond each; planned
// statements would cost more.
#pragma once

#include "server/pg.h"

extern "C" {
#include "access/genam.h"
#include "access/stratnum.h"
#include "access/tableam.h"
#include "utils/rel.h"
}

namespace sealcast::server {

// A condition on one column of an index.
struct Condition {
  int column;              // position of the column in the index, from 0
  StrategyNumber compare;  // BTEqualStrategyNumber and so on
  Datum value;
};

// A table of the schema sealcast and one of its indexes, open between open() and close(). Trivially destructible: after
// an error no destructor runs, and Postgres closes both.
class IndexLookup {
 public:
  // If `index` is null or InvalidOid, uses the primary key. The rows are read with the active snapshot, which must stay
  // active until close().
  static IndexLookup open(const char* table, const char* index = nullptr);
  static IndexLookup open(Oid table, Oid index = InvalidOid);
  // Opens a partition, which a user may have made, by an index that begins with the columns `key`: the primary key, or
  // another one. Returns nullopt for an empty partition without such an index; error 55000 if the partition has rows.
  static std::optional<IndexLookup> open_partition(Oid table, std::span<const char* const> key);
  void close();
  // Closes and gives up the locks, which close() keeps until the transaction ends.
  void close_and_unlock();

  // Returns the number of a table column, for value() and optional(). Raises error 42703 if it does not exist.
  int column(const char* name) const;

  // Starts a scan of the rows whose first index columns equal `keys`, or of the rows that meet all `conditions`. At
  // most three keys or conditions.
  void find(std::span<const Datum> keys);
  void find(std::span<const Condition> conditions);
  // After find(), moves to a row that was found: next() to the first one in index order, last() to the last one. Each
  // further call of the same function moves one row on, forwards or backwards. Returns false if no row is left.
  bool next() { return step(ForwardScanDirection); }
  bool last() { return step(BackwardScanDirection); }

  // Return a column of the current row, valid until the scan moves or ends. If the column is null, value() raises an
  // error and optional() returns nullopt.
  Datum value(int column);
  std::optional<Datum> optional(int column);

 private:
  void close(LOCKMODE unlock);
  bool step(ScanDirection direction);

  Relation table_;
  Relation index_;
  MemoryContext memory_;  // the current context at open(): the context of the first find() may end before the scan
  IndexScanDesc scan_;
  int conditions_;
  TupleTableSlot* slot_;
};

}  // namespace sealcast::server
