// Looks up relations, partition descriptors and sequences of the schema sealcast.
#include "server/catalog.h"

extern "C" {
#include "catalog/namespace.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
}

namespace sealcast::server {

namespace {
constexpr char kSchema[] = "sealcast";
}

Oid table_id(const char* name) {
  const Oid id = get_relname_relid(name, get_namespace_oid(kSchema, false));
  if (!OidIsValid(id)) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation %s.%s does not exist", kSchema, name),
                    errhint("Drop and create the extension sealcast. Its objects must not be changed by hand.")));
  }
  return id;
}

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
  const int index = partitions->boundinfo->indexes[bound + 1];
  return index < 0 ? InvalidOid : partitions->oids[index];
}

std::optional<int64> last_value(const char* sequence) {
  LOCAL_FCINFO(call, 1);
  InitFunctionCallInfoData(*call, nullptr, 1, InvalidOid, nullptr, nullptr);
  call->args[0].value = ObjectIdGetDatum(table_id(sequence));
  call->args[0].isnull = false;
  const Datum last = pg_sequence_last_value(call);
  if (call->isnull) return std::nullopt;
  return DatumGetInt64(last);
}

}  // namespace sealcast::server
