// The SQL function standing(): what a user is in a stream. All rules about who may do what in SQL use it, so they read
// roles and restrictions by the same look-ups as admission.
#include "admission/batch.h"
#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "access/xact.h"
#include "utils/snapmgr.h"
}

namespace sealcast::admission {

// Reads the newest committed rows, also inside a transaction or a query that has an older snapshot, because a
// restriction counts at once. In a parallel query Postgres allows only the snapshot of the query.
SEALCAST_FUNCTION(sealcast_standing) {
  enum { kVisibility, kRole, kRestriction, kMessage, kDetails, kHint, kRetryAfter, kColumns };
  const TupleDesc type = server::record_type(fcinfo);
  const TimestampTz now = GetCurrentTimestamp();
  Item item{};
  item.stream_id = PG_ARGISNULL(0) ? nullptr : PG_GETARG_UUID_P(0);
  item.sender_id = PG_ARGISNULL(1) ? nullptr : PG_GETARG_UUID_P(1);
  PushActiveSnapshot(IsInParallelMode() ? GetActiveSnapshot() : GetLatestSnapshot());
  look_up_standing({&item, 1}, now);
  PopActiveSnapshot();

  Datum values[kColumns] = {};
  bool nulls[kColumns] = {};
  const auto put = [&](int column, const char* value) {
    nulls[column] = value == nullptr;
    if (value != nullptr) values[column] = CStringGetTextDatum(value);
  };
  put(kVisibility, item.stream == nullptr ? nullptr : item.stream->is_private ? "private" : "public");
  put(kRole, item.role == nullptr ? nullptr : text_to_cstring(item.role));
  const Verdict refusal = item.restriction == nullptr ? Verdict{} : restricted(*item.restriction, now);
  put(kRestriction, item.restriction == nullptr ? nullptr : item.restriction->ban ? "ban" : "mute");
  put(kMessage, refusal.message);
  put(kDetails, refusal.details);
  put(kHint, refusal.hint);
  nulls[kRetryAfter] = !refusal.retry_after_ms;
  values[kRetryAfter] = Int64GetDatum(refusal.retry_after_ms.value_or(0));
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(type, values, nulls)));
}

}  // namespace sealcast::admission
