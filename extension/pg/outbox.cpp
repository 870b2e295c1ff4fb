// Reading where the outbox stands: see outbox.h.
#include "outbox.h"

#include "index_lookup.h"

extern "C" {
#include "utils/fmgrprotos.h"
}

namespace sealcast {

int16 outbox_segment() {
  LOCAL_FCINFO(call, 1);
  InitFunctionCallInfoData(*call, nullptr, 1, InvalidOid, nullptr, nullptr);
  call->args[0].value = ObjectIdGetDatum(table_id("outbox_segment"));
  call->args[0].isnull = false;
  const Datum last = pg_sequence_last_value(call);
  // Null: it has never been moved from its start, which is 0.
  return call->isnull ? 0 : static_cast<int16>(DatumGetInt64(last));
}

}  // namespace sealcast

SEALCAST_FUNCTION(sealcast_shard_of) { PG_RETURN_INT32(sealcast::shard_of(*PG_GETARG_UUID_P(0))); }
