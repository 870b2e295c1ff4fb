// pg_sequence_last_value(): see sequence.h.
#include "server/sequence.h"

#include "server/index_lookup.h"

extern "C" {
#include "utils/fmgrprotos.h"
}

namespace sealcast::server {

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
