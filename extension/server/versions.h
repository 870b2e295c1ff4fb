// Wraps the functions that differ between the supported versions of Postgres: 15 to 17 (15 and 17 are tested).
#pragma once

#include "server/pg.h"

extern "C" {
#include "executor/executor.h"
}

namespace sealcast::server {

// Inserts the index entries of one row.
inline void insert_index_tuples(ResultRelInfo* target, TupleTableSlot* slot, EState* estate) {
#if PG_VERSION_NUM >= 160000
  list_free(ExecInsertIndexTuples(target, slot, estate, false, false, nullptr, NIL, false));
#else
  list_free(ExecInsertIndexTuples(target, slot, estate, false, false, nullptr, NIL));
#endif
}

// Returns the map that converts a row of the partitioned table to a row of its partition `target`. Returns null if no
// conversion is needed, because both have the same columns.
inline const TupleConversionMap* root_to_target_map(ResultRelInfo* target, [[maybe_unused]] EState* estate) {
#if PG_VERSION_NUM >= 160000
  return target->ri_RootResultRelInfo == nullptr ? nullptr : ExecGetRootToChildMap(target, estate);
#else
  return target->ri_RootToPartitionMap;
#endif
}

inline bool is_infinite([[maybe_unused]] const Interval* interval) {
#if PG_VERSION_NUM >= 170000
  return INTERVAL_IS_NOEND(interval);
#else
  return false;
#endif
}

}  // namespace sealcast::server
