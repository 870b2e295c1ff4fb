// Partition descriptors: see partitions.h.
#include "server/partitions.h"

extern "C" {
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/partcache.h"
}

namespace sealcast::server {

std::span<const Oid> partitions_of(Relation parent) {
  PartitionDesc const partitions = RelationGetPartitionDesc(parent, true);
  return {partitions->oids, static_cast<std::size_t>(partitions->nparts)};
}

Oid partition_for(Relation parent, Datum key) {
  PartitionDesc const partitions = RelationGetPartitionDesc(parent, true);
  if (partitions->nparts == 0) return InvalidOid;
  PartitionKey const shape = RelationGetPartitionKey(parent);
  bool equal;
  const int bound =
      partition_range_datum_bsearch(shape->partsupfunc, shape->partcollation, partitions->boundinfo, 1, &key, &equal);
  const int at = partitions->boundinfo->indexes[bound + 1];
  return at < 0 ? InvalidOid : partitions->oids[at];
}

}  // namespace sealcast::server
