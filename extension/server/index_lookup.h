// Rows of a small table by its index, without a plan: what a batch needs to know is a few dozen probes of a
// microsecond.
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

// A table of ours and one of its indexes, open from open() to close(). Trivially destructible: an error's cleanup
// closes what is left open.
class IndexLookup {
 public:
  // `index` null = the primary key. Reads with the active snapshot.
  static IndexLookup open(const char* table, const char* index = nullptr);
  static IndexLookup open(Oid table, Oid index = InvalidOid);
  void close();

  // The number of a column of the table, for the readers below.
  int column(const char* name) const;

  // Looks for the rows whose leading index columns equal `keys`, or that meet all conditions.
  void find(std::span<const Datum> keys);
  void find(std::span<const Condition> conditions);
  // Steps through them, in the order of the index or, from its end, against it.
  bool next() { return step(ForwardScanDirection); }
  bool last() { return step(BackwardScanDirection); }

  Datum value(int column);  // not null
  std::optional<Datum> optional(int column);

 private:
  bool step(ScanDirection direction);

  Relation table_;
  Relation index_;
  MemoryContext memory_;  // of open(): a scan outlives the context of its first find()
  IndexScanDesc scan_;
  int conditions_;
  TupleTableSlot* slot_;
};

// The table's id by its name in our schema.
Oid table_id(const char* name);

}  // namespace sealcast::server
