// Finds the newest offsets of a stream, with one index look-up per day partition of stream_runs.
#include "relay/offsets.h"

#include "server/catalog.h"

extern "C" {
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

// Returns the offsets of the newest run of the stream in this partition.
std::optional<StreamProgress> newest_in(DayRuns& day, const pg_uuid_t& stream_id) {
  day.find(stream_id);
  const std::optional<LoggedRun> run = day.last();
  if (!run) return std::nullopt;
  return StreamProgress{run->last(), run->public_messages.offset_before(run->offset, run->messages), run->logged_at};
}

}  // namespace

LastOffsets LastOffsets::open() {
  LastOffsets offsets;
  offsets.log_ = RunLog::open();
  return offsets;
}

void LastOffsets::close() { log_.close(); }

StreamProgress LastOffsets::progress_of(const pg_uuid_t& stream_id) {
  std::optional<StreamProgress> newest;
  for (std::size_t i = log_.days.size(); i-- > 0 && !newest;) newest = newest_in(log_.days[i], stream_id);
  for (DayRuns& rest : log_.rest) {
    const std::optional<StreamProgress> other = newest_in(rest, stream_id);
    if (other && (!newest || other->offset > newest->offset)) newest = other;
  }
  if (newest) return *newest;
  const int64 trimmed = trimmed_through(stream_id);
  return {trimmed, trimmed, 0};
}

SEALCAST_FUNCTION(sealcast_last_offset) {
  LastOffsets offsets = LastOffsets::open();
  const int64 last = offsets.progress_of(*PG_GETARG_UUID_P(0)).offset;
  offsets.close();
  PG_RETURN_INT64(last);
}

}  // namespace sealcast::relay
