// Looks up relations, partition descriptors and sequences of the extension's two schemas.
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
constexpr const char* kSchemas[] = {"sealcast", "sealcast_internal"};
}

Oid table_id(const char* name) {
  for (const char* const schema : kSchemas) {
    const Oid id = get_relname_relid(name, get_namespace_oid(schema, false));
    if (OidIsValid(id)) return id;
  }
  ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                  errmsg("relation %s exists neither in schema %s nor in schema %s", name, kSchemas[0], kSchemas[1]),
                  errhint("Drop and create the extension sealcast. Its objects must not be changed by hand.")));
  pg_unreachable();
}

Partitions partitions_of(Relation parent) {
  PartitionDesc const partitions = RelationGetPartitionDesc(parent, true);
  if (partitions->nparts == 0) return {{}, InvalidOid};
  // Postgres puts the default partition last.
  const bool has_default = partition_bound_has_default(partitions->boundinfo);
  const std::span<const Oid> all{partitions->oids, static_cast<std::size_t>(partitions->nparts)};
  return {all.first(all.size() - (has_default ? 1 : 0)), has_default ? all.back() : InvalidOid};
}

Oid partition_for(Relation parent, Datum key) {
  PartitionDesc const partitions = RelationGetPartitionDesc(parent, true);
  if (partitions->nparts == 0) return InvalidOid;
  PartitionKey const shape = RelationGetPartitionKey(parent);
  bool equal;
  const int bound =
      partition_range_datum_bsearch(shape->partsupfunc, shape->partcollation, partitions->boundinfo, 1, &key, &equal);
  int index = partitions->boundinfo->indexes[bound + 1];
  if (index < 0) index = partitions->boundinfo->default_index;
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
