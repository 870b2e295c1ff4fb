// The key of a row of an application's table: a digest of the values of its sender column and its txn column. Two rows
// have the same key exactly if both values are equal. No setting of the session and no OID of a table changes a key.
#pragma once

#include "server/pg.h"

extern "C" {
#include "lib/stringinfo.h"
}

namespace sealcast::triggers {

// The first 16 bytes of a SHA-256. `root` is the table, or the topmost partitioned table of a partition.
struct RowKey {
  static constexpr std::size_t kBytes = 16;
  unsigned char digest[kBytes];
  Oid root;

  bool operator==(const RowKey& other) const = default;
};

struct KeyColumn {
  Datum value;
  Oid type;
  Oid collation;
};

// Returns why the values of a type cannot be keys, or null if they can. `type` may be a domain.
const char* problem_of_key_type(Oid type, Oid collation);

// Raises error 42804 for a type with a problem.
RowKey make_row_key(Oid root, const KeyColumn& sender, const KeyColumn& txn);

// Returns the digest as a bytea in the current memory context.
Datum digest_datum(const RowKey& key);

}  // namespace sealcast::triggers
