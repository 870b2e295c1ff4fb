// Finds our tables, the partitions of a table, and the value of a sequence.
#pragma once

#include "server/pg.h"

extern "C" {
#include "utils/rel.h"
}

namespace sealcast::server {

// Returns the id of a relation in the schema sealcast; error 42P01 if it does not exist.
Oid table_id(const char* name);

// The next two functions are for tables that are partitioned by range of one column.

// Returns the partitions of `parent` in the order of their bounds. The span is valid as long as `parent` is open.
std::span<const Oid> partitions_of(Relation parent);

// Returns the partition whose bounds include `key`, or InvalidOid if there is none. Ignores a default partition.
Oid partition_for(Relation parent, Datum key);

// Returns the last value of a sequence of the schema sealcast, or nullopt before its first nextval().
std::optional<int64> last_value(const char* sequence);

}  // namespace sealcast::server
