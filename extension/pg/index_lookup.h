// Rows of a small table by its index, without a plan: what a batch needs to know is a few dozen probes of a microsecond.
#pragma once

#include "pg.h"

extern "C" {
#include "access/genam.h"
#include "access/tableam.h"
#include "utils/rel.h"
}

namespace sealcast {

// A table of ours and one of its indexes, open from open_lookup() to close(). Trivially destructible: an error's
// cleanup closes what is left open.
class IndexLookup {
 public:
  // `index` null = the primary key. Reads with the active snapshot.
  static IndexLookup open(const char* table, const char* index = nullptr);
  void close();

  // The number of a column of the table, for the readers below.
  int column(const char* name) const;

  // Looks for the rows whose leading index columns equal `keys`; next() steps through them.
  void find(std::span<const Datum> keys);
  bool next();

  Datum value(int column);  // not null
  std::optional<Datum> optional(int column);

 private:
  Relation table_;
  Relation index_;
  IndexScanDesc scan_;
  TupleTableSlot* slot_;
};

// The table's id by its name in our schema.
Oid table_id(const char* name);

}  // namespace sealcast
