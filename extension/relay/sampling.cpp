// sampled(), and what a run of offsets has on the public channel.
#include "core/sampling.h"

#include "relay/outbox.h"
#include "server/datum.h"
#include "server/guard.h"

namespace sealcast::relay {

SEALCAST_FUNCTION(sealcast_sampled) {
  const server::UuidText user_id(*PG_GETARG_UUID_P(0));
  const server::UuidText stream_id(*PG_GETARG_UUID_P(1));
  const int32 rate = PG_GETARG_INT32(2);
  bool sampled = false;
  server::guarded([&](core::CancelFlag) { sampled = core::is_sampled(user_id.view(), stream_id.view(), rate); });
  PG_RETURN_BOOL(sampled);
}

// Of message number `i`, the offset of the message before it on the public channel; null when it is not on it.
SEALCAST_FUNCTION(sealcast_public_prev) {
  if (PG_ARGISNULL(0) || PG_ARGISNULL(3)) PG_RETURN_NULL();
  const int64 offset = PG_GETARG_INT64(0);
  const int64 before = PG_ARGISNULL(1) ? offset - 1 : PG_GETARG_INT64(1);
  const int64 i = PG_GETARG_INT64(3);
  if (PG_ARGISNULL(2)) PG_RETURN_INT64(i == 0 ? before : offset + i - 1);
  const std::string_view bits = server::view(PG_GETARG_BYTEA_PP(2));
  if (i < 0 || i >= kMaxRun || !is_public(bits, static_cast<int>(i))) PG_RETURN_NULL();
  for (int64 j = i - 1; j >= 0; --j) {
    if (is_public(bits, static_cast<int>(j))) PG_RETURN_INT64(offset + j);
  }
  PG_RETURN_INT64(before);
}

}  // namespace sealcast::relay
