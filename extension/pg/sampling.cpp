// sampled().
#include "core/sampling.h"

#include "datum.h"
#include "guard.h"

SEALCAST_FUNCTION(sealcast_sampled) {
  const sealcast::UuidText user_id(*PG_GETARG_UUID_P(0));
  const sealcast::UuidText stream_id(*PG_GETARG_UUID_P(1));
  const int32 rate = PG_GETARG_INT32(2);
  bool sampled = false;
  sealcast::guarded(
      [&](sealcast::CancelFlag) { sampled = sealcast::is_sampled(user_id.view(), stream_id.view(), rate); });
  PG_RETURN_BOOL(sampled);
}
