// Finds rows by an index, without a plan: the facts about a batch cost a few dozen probes of about a microsecond each.
#pragma once

#include "server/pg.h"

extern "C" {
#include "access/genam.h"
#include "access/stratnum.h"
#include "access/tableam.h"
#include "utils/rel.h"
}

namespace sealcast::server {

// A condition on a column of an index, counted from 0.
struct Condition {
  int column;
  StrategyNumber compare;  // BTEqualStrategyNumber and so on
  Datum value;
};

// A table of the schema sealcast and one of its indexes, open between open() and close(). Trivially destructible: after
// an error no destructor runs, and Postgres closes both.
class IndexLookup {
 public:
  // `index` null or InvalidOid: the primary key. Reads with the active snapshot.
  static IndexLookup open(const char* table, const char* index = nullptr);
  static IndexLookup open(Oid table, Oid index = InvalidOid);
  void close();

  // Returns the number of a column, for value() and optional().
  int column(const char* name) const;

  // Starts a scan of the rows whose leading index columns equal `keys`, or that meet all conditions.
  void find(std::span<const Datum> keys);
  void find(std::span<const Condition> conditions);
  // Moves to the next row: next() from the start of the index, last() from its end. Returns false after the last row.
  bool next() { return step(ForwardScanDirection); }
  bool last() { return step(BackwardScanDirection); }

  // Values of the current row. value() raises an error if the column is null.
  Datum value(int column);
  std::optional<Datum> optional(int column);

 private:
  bool step(ScanDirection direction);

  Relation table_;
  Relation index_;
  MemoryContext memory_;  // of open(): a scan may outlive the memory context of its first find()
  IndexScanDesc scan_;
  int conditions_;
  TupleTableSlot* slot_;
};

}  // namespace sealcast::server
