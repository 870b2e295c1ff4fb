// Finds our tables, the partitions of a table, and the value of a sequence.
#pragma once

#include "server/pg.h"

extern "C" {
#include "utils/rel.h"
}

namespace sealcast::server {

// Returns the id of a relation of the extension, in schema sealcast or sealcast_internal; error 42P01 if it does not
// exist. No name is used in both schemas.
Oid table_id(const char* name);

// The next two functions are for tables that are partitioned by range of one column.

// The partitions of a table. The span is valid as long as the table is open.
struct Partitions {
  std::span<const Oid> bounded;  // in the order of their bounds
  Oid rest;                      // the default partition, or InvalidOid
};

Partitions partitions_of(Relation parent);

// Returns the partition that takes `key`, or InvalidOid if there is none.
Oid partition_for(Relation parent, Datum key);

// Returns the last value of a sequence of the extension, or nullopt before its first nextval().
std::optional<int64> last_value(const char* sequence);

}  // namespace sealcast::server
