// Finds the newest offsets of a stream, with one index look-up per day partition of stream_runs. Also computes offsets
// on the public channel.
#include "relay/offsets.h"

#include "server/catalog.h"
#include "server/datum.h"

extern "C" {
#include "access/table.h"
#include "utils/snapmgr.h"
}

namespace sealcast::relay {

namespace {

// Returns the newest offset of the stream that retention has dropped, or 0 if it has dropped none.
int64 trimmed_through(const pg_uuid_t& stream_id) {
  server::IndexLookup streams = server::IndexLookup::open("streams");
  const Datum key[] = {UUIDPGetDatum(&stream_id)};
  streams.find(key);
  const int64 offset = streams.next() ? DatumGetInt64(streams.value(streams.column("trimmed_through"))) : 0;
  streams.close();
  return offset;
}

// Returns whether message number `i` (from 0) of a run is on the public channel. `bits` is the run's public_bits: one
// bit per message, the lowest bit of a byte first.
bool is_public(std::string_view bits, int i) {
  const auto byte = static_cast<std::size_t>(i / 8);
  return byte < bits.size() && (static_cast<uint8>(bits[byte]) >> i % 8 & 1) != 0;
}

// Returns the newest offset on the public channel of a stream whose newest run has the offsets `offset` to `last`.
// `before` and `bits` are the columns public_before (the newest offset on the public channel before the run; null means
// offset - 1) and public_bits (null: all messages of the run are on the public channel).
int64 public_offset(int64 offset, int64 last, std::optional<Datum> before, std::optional<Datum> bits) {
  if (!bits) return last;
  const std::string_view on_public_channel = server::view(DatumGetByteaPP(*bits));
  for (int64 i = last - offset; i >= 0; --i) {
    if (is_public(on_public_channel, static_cast<int>(i))) return offset + i;
  }
  return before ? DatumGetInt64(*before) : offset - 1;
}

}  // namespace

LastOffsets LastOffsets::open() {
  LastOffsets offsets;
  offsets.log_ = table_open(server::table_id("stream_runs"), AccessShareLock);
  const std::span<const Oid> partitions = server::partitions_of(offsets.log_);
  offsets.count_ = partitions.size();
  offsets.days_ = static_cast<Day*>(palloc(Max(partitions.size(), 1) * sizeof(Day)));
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    offsets.days_[i].partition = partitions[i];
    offsets.days_[i].opened = false;
  }
  return offsets;
}

void LastOffsets::close() {
  for (std::size_t i = 0; i < count_; ++i) {
    if (days_[i].opened) days_[i].rows.close();
  }
  table_close(log_, NoLock);
}

StreamProgress LastOffsets::progress_of(const pg_uuid_t& stream_id) {
  const Datum key[] = {UUIDPGetDatum(&stream_id)};
  for (std::size_t i = count_; i-- > 0;) {
    Day& day = days_[i];
    if (!day.opened) {
      day.rows = server::IndexLookup::open(day.partition);
      day.offset = day.rows.column("offset");
      day.messages = day.rows.column("messages");
      day.public_before = day.rows.column("public_before");
      day.public_bits = day.rows.column("public_bits");
      day.opened = true;
    }
    day.rows.find(key);
    if (day.rows.last()) {
      const int64 offset = DatumGetInt64(day.rows.value(day.offset));
      const int64 last = offset + DatumGetInt32(day.rows.value(day.messages)) - 1;
      return {last,
              public_offset(offset, last, day.rows.optional(day.public_before), day.rows.optional(day.public_bits))};
    }
  }
  const int64 trimmed = trimmed_through(stream_id);
  return {trimmed, trimmed};
}

SEALCAST_FUNCTION(sealcast_last_offset) {
  LastOffsets offsets = LastOffsets::open();
  const int64 last = offsets.progress_of(*PG_GETARG_UUID_P(0)).offset;
  offsets.close();
  PG_RETURN_INT64(last);
}

// The SQL function public_prev(offset, public_before, public_bits, i). The first three arguments are columns of a run
// in stream_runs, and `i` is the number of one of its messages, from 0. Returns the offset of the previous message on
// the public channel, or null if message `i` is not on the public channel.
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
