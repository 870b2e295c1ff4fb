// The partitions of a table that is partitioned by range of one column.
#pragma once

#include "server/pg.h"

extern "C" {
#include "utils/rel.h"
}

namespace sealcast::server {

// In order of their bounds. Good as long as `parent` is open.
std::span<const Oid> partitions_of(Relation parent);

// The partition that takes `key`; InvalidOid when none does.
Oid partition_for(Relation parent, Datum key);

}  // namespace sealcast::server
