// Reads the bits of a run's messages on the public channel.
#include "relay/public_channel.h"

#include "relay/outbox.h"
#include "server/datum.h"

namespace sealcast::relay {

PublicMessages PublicMessages::of(int64 offset, std::optional<Datum> public_before, std::optional<Datum> public_bits) {
  PublicMessages messages{public_before ? DatumGetInt64(*public_before) : offset - 1, std::nullopt};
  if (public_bits) messages.bits = server::view(DatumGetByteaPP(*public_bits));
  return messages;
}

bool PublicMessages::contains(int i) const {
  if (!bits) return true;
  const auto byte = static_cast<std::size_t>(i / 8);
  return byte < bits->size() && (static_cast<uint8>((*bits)[byte]) >> i % 8 & 1) != 0;
}

int64 PublicMessages::offset_before(int64 offset, int64 i) const {
  if (!bits) return i == 0 ? before : offset + i - 1;
  while (i-- > 0) {
    if (contains(static_cast<int>(i))) return offset + i;
  }
  return before;
}

// The SQL function public_prev(offset, public_before, public_bits, i). The first three arguments are columns of a run
// in stream_runs, and `i` is the number of one of its messages, from 0. Returns the offset of the previous message on
// the public channel, or null if message `i` is not on the public channel.
SEALCAST_FUNCTION(sealcast_public_prev) {
  if (PG_ARGISNULL(0) || PG_ARGISNULL(3)) PG_RETURN_NULL();
  const auto argument = [&](int n) { return PG_ARGISNULL(n) ? std::nullopt : std::optional(PG_GETARG_DATUM(n)); };
  const int64 offset = PG_GETARG_INT64(0);
  const int64 i = PG_GETARG_INT64(3);
  const PublicMessages messages = PublicMessages::of(offset, argument(1), argument(2));
  if (messages.bits && (i < 0 || i >= kMaxRun || !messages.contains(static_cast<int>(i)))) PG_RETURN_NULL();
  PG_RETURN_INT64(messages.offset_before(offset, i));
}

}  // namespace sealcast::relay
