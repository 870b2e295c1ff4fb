// The SQL function drain(): gives the next messages of the caller's shards their offsets, logs the offsets, moves the
// positions of the shards and returns the frames. One statement does all of this, so that a failure changes nothing.
#include "relay/message_ids.h"
#include "relay/offsets.h"
#include "relay/outbox.h"
#include "relay/relay_batch.h"
#include "relay/sampler.h"
#include "relay/wake.h"
#include "sealing/sealing.h"
#include "server/bulk_insert.h"
#include "server/index_lookup.h"
#include "server/spi_plan.h"

extern "C" {
#include "access/xact.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"
}

namespace sealcast::relay {

namespace {

constexpr int kMaxRows = 100'000;

using Shards = std::span<Shard>;

// Locks the leases of the caller. The row locks keep another sidecar from acquiring these leases until this transaction
// has ended. A shard whose epoch has changed is left out; the caller sees the change at its next claim_shards(). The
// third column shows whether another sidecar was seen within the last 10 s.
server::SpiPlan lock_leases{
    "select l.shard, l.epoch, exists (select from sealcast_internal.relay_members m where m.holder <> $1"
    " and m.seen_at > clock_timestamp() - interval '10 s')"
    " from sealcast_internal.relay_leases l join unnest($2, $3) c (shard, epoch) on c.shard = l.shard and c.epoch = "
    "l.epoch"
    " where l.holder = $1 order by l.shard for update of l",
    {TEXTOID, INT4ARRAYOID, INT8ARRAYOID}};

// Returns the shards whose leases the caller holds. Sets `others_listen` if other sidecars run, which tail the frames
// of this drain and want a wake-up.
Shards lock_shards(FunctionCallInfo fcinfo, bool& others_listen) {
  const Datum arguments[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
  MemoryContext const memory = CurrentMemoryContext;
  server::SpiRows rows = lock_leases.execute(arguments);
  const int count = rows.count();
  auto* const shards = static_cast<Shard*>(MemoryContextAlloc(memory, Max(count, 1) * sizeof(Shard)));
  for (int i = 0; i < count; ++i) {
    new (&shards[i]) Shard{DatumGetInt16(*rows.value(i, 0)), DatumGetInt64(*rows.value(i, 1))};
    others_listen = DatumGetBool(*rows.value(i, 2));
  }
  rows.finish();
  return {shards, static_cast<std::size_t>(count)};
}

// Fills the shards from their newest rows of relay_log. A shard without a row keeps the start position.
void read_positions(Shards shards) {
  server::IndexLookup log = server::IndexLookup::open("relay_log");
  const auto number = [&log](const char* name) { return DatumGetInt64(log.value(log.column(name))); };
  const auto position = [&](Datum snapshot, const char* xid, const char* id) {
    return Position{DatumGetCString(DirectFunctionCall1(pg_snapshot_out, snapshot)),
                    U64FromFullTransactionId(DatumGetFullTransactionId(log.value(log.column(xid)))), number(id)};
  };
  for (Shard& shard : shards) {
    const Datum key[] = {Int16GetDatum(static_cast<int16>(shard.id))};
    log.find(key);
    if (!log.last()) continue;
    shard.batch = number("batch");
    shard.logged_at = number("logged_at");
    shard.seen = position(log.value(log.column("seen")), "seen_xid", "seen_id");
    shard.after_id = number("after_id");
    if (const std::optional<Datum> target = log.optional(log.column("target"))) {
      shard.target = position(*target, "target_xid", "target_id");
    }
  }
  log.close();
}

// Returns pointers to the runs, sorted by shard, stream and first_id.
std::span<Run*> by_stream(std::span<Run> runs) {
  auto* const order = static_cast<Run**>(palloc(runs.size() * sizeof(Run*)));
  for (std::size_t i = 0; i < runs.size(); ++i) order[i] = &runs[i];
  qsort(order, runs.size(), sizeof(Run*), [](const void* a, const void* b) {
    const Run& left = **static_cast<Run* const*>(a);
    const Run& right = **static_cast<Run* const*>(b);
    if (left.shard != right.shard) return left.shard - right.shard;
    const int order_of_streams = std::memcmp(&left.stream_id, &right.stream_id, UUID_LEN);
    if (order_of_streams != 0) return order_of_streams;
    return left.first_id < right.first_id ? -1 : 1;
  });
  return {order, runs.size()};
}

bool same_stream(const Run& a, const Run& b) { return std::memcmp(&a.stream_id, &b.stream_id, UUID_LEN) == 0; }

// The last offset of a stream: the largest number that JSON and JavaScript hold exactly.
constexpr int64 kMaxOffset = (int64{1} << 53) - 1;

void refuse_end(const Run& run) {
  const int64 offset = run.stream->offset;
  if (offset >= 0 && offset <= kMaxOffset - run.messages) return;
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                  errmsg("stream %s has no offset after " INT64_FORMAT,
                         DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run.stream_id))), offset),
                  errdetail("Offsets end at 2^53 - 1."),
                  errhint("Correct trimmed_through of the stream, and its rows in stream_runs.")));
}

// Gives each run its offsets, and raises `logged_at` to that of the newest run of each stream: after a restore, or when
// the clock was set back, that run may be of a later time. LastOffsets needs this order. In `ordered` the runs of one
// stream are neighbours. So the last offsets and the sampling rate are looked up once per stream, not once per run.
void assign_offsets(std::span<Run*> ordered, Sampler& sampler, int64& logged_at) {
  LastOffsets last_offsets = LastOffsets::open();
  const Run* before = nullptr;
  for (Run* run : ordered) {
    if (before != nullptr && same_stream(*before, *run)) {
      run->stream = before->stream;
    } else {
      run->stream = new (palloc(sizeof(StreamProgress))) StreamProgress(last_offsets.progress_of(run->stream_id));
      run->stream->rate = sampler.rate_of(run->stream_id);
      logged_at = Max(logged_at, run->stream->logged_at);
    }
    refuse_end(*run);
    run->offset = run->stream->offset + 1;
    run->stream->offset += run->messages;
    before = run;
  }
  last_offsets.close();
}

// Inserts the runs with their offsets into stream_runs. A null public_before means offset - 1; a null public_bits means
// that all messages of the run are on the public channel.
void log_offsets(std::span<const Run> runs, int64 logged_at) {
  static constexpr const char* kColumns[] = {"stream_id", "offset",   "messages",      "logged_at",
                                             "ts",        "first_id", "public_before", "public_bits"};
  server::bulk_insert("stream_runs", kColumns, static_cast<int>(runs.size()), [&](int i, Datum* values, bool* nulls) {
    const Run& run = runs[static_cast<std::size_t>(i)];
    values[0] = UUIDPGetDatum(&run.stream_id);
    values[1] = Int64GetDatum(run.offset);
    values[2] = Int32GetDatum(run.messages);
    values[3] = Int64GetDatum(logged_at);
    values[4] = Int64GetDatum(run.ts);
    values[5] = Int64GetDatum(run.first_id);
    values[6] = Int64GetDatum(run.public_before);
    nulls[6] = run.public_before == run.offset - 1;
    nulls[7] = run.public_messages == run.messages;
    if (!nulls[7]) values[7] = run.public_bytes();
  });
}

// The content of a relay batch for one shard: three SQL arrays with one element per stream, namely the stream's id, its
// first offset and its last offset.
struct Contents {
  Datum stream_ids, first_offsets, last_offsets;
};

Contents contents_of(int shard, std::span<Run* const> ordered) {
  auto* const streams = static_cast<Datum*>(palloc(ordered.size() * sizeof(Datum)));
  auto* const firsts = static_cast<Datum*>(palloc(ordered.size() * sizeof(Datum)));
  auto* const lasts = static_cast<Datum*>(palloc(ordered.size() * sizeof(Datum)));
  int count = 0;
  const Run* before = nullptr;
  for (const Run* run : ordered) {
    if (run->shard != shard) continue;
    if (before == nullptr || !same_stream(*before, *run)) {
      streams[count] = UUIDPGetDatum(&run->stream_id);
      firsts[count] = Int64GetDatum(run->offset);
      ++count;
    }
    lasts[count - 1] = Int64GetDatum(run->offset + run->messages - 1);
    before = run;
  }
  const auto bigints = [count](Datum* values) {
    return PointerGetDatum(construct_array(values, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
  };
  return {PointerGetDatum(construct_array(streams, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR)), bigints(firsts),
          bigints(lasts)};
}

// Moves the group's shards to their new position, by one row of relay_log per shard. If the relay batch is `complete`,
// that is the end of the window. If the relay batch was full before the end, the shards stay in the window, after the
// last run of the batch. A shard without messages gets a row too, so that all shards of the group stay at the same
// position.
void log_batch(const Group& group, std::span<const Run> runs, std::span<Run* const> ordered, bool complete) {
  static constexpr const char* kColumns[] = {"shard",    "batch",      "epoch",         "logged_at",   "seen",
                                             "seen_xid", "seen_id",    "target",        "target_xid",  "target_id",
                                             "after_id", "stream_ids", "first_offsets", "last_offsets"};
  const auto put = [](const Position& position, Datum* values) {
    values[0] = DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(position.snapshot));
    values[1] = FullTransactionIdGetDatum(FullTransactionIdFromU64(position.xid));
    values[2] = Int64GetDatum(position.id);
  };
  server::bulk_insert("relay_log", kColumns, static_cast<int>(group.shards.size()),
                      [&](int i, Datum* values, bool* nulls) {
                        const Shard& shard = *group.shards[static_cast<std::size_t>(i)];
                        const Contents contents = contents_of(shard.id, ordered);
                        values[0] = Int16GetDatum(static_cast<int16>(shard.id));
                        values[1] = Int64GetDatum(shard.batch + 1);
                        values[2] = Int64GetDatum(shard.epoch);
                        values[3] = Int64GetDatum(group.logged_at);
                        put(complete ? group.window.target : group.window.seen, &values[4]);
                        nulls[7] = nulls[8] = nulls[9] = complete;
                        if (!complete) put(group.window.target, &values[7]);
                        values[10] = Int64GetDatum(complete ? 0 : runs.back().first_id);
                        values[11] = contents.stream_ids;
                        values[12] = contents.first_offsets;
                        values[13] = contents.last_offsets;
                      });
}

// Relays the next messages of the group's window, up to the run with which they are max_rows or more. If the window has
// no more messages, returns false and changes nothing.
bool relay(Group& group, int max_rows, Sampler& sampler, Output& output) {
  bool complete = true;
  const std::span<Run> runs = next_runs(group.window, group.bits(), max_rows, complete);
  if (runs.empty()) return false;
  const std::span<Run*> ordered = by_stream(runs);
  assign_offsets(ordered, sampler, group.logged_at);
  put_frames(group, runs, sampler, output);
  log_offsets(runs, group.logged_at);
  log_batch(group, runs, ordered, complete);
  return true;
}

// Returns the group of the shards that are not done and have the same position as `first`, and marks these shards as
// done. The group points into `buffer`, which must have room for all shards.
Group next_group(Shards shards, std::span<Shard*> buffer, const Shard& first, const Position& present, int64 now) {
  std::size_t count = 0;
  int64 logged_at = now;
  for (Shard& shard : shards) {
    if (shard.done || !shard.has_position_of(first)) continue;
    buffer[count++] = &shard;
    // Within a shard logged_at never decreases, even if the clock was set back.
    logged_at = Max(logged_at, shard.logged_at);
  }
  for (std::size_t i = 0; i < count; ++i) buffer[i]->done = true;
  return {buffer.first(count), {first.seen, first.target.value_or(present), first.after_id}, logged_at};
}

// Relays one relay batch for each group of shards with the same position. Returns whether there were messages.
// `present` is the current position of the database, where a new window ends.
bool drain(Shards shards, const Position& present, int max_rows, Output& output) {
  bool any = false;
  Sampler sampler = Sampler::open();
  const int64 now = sealing::unix_ms(GetCurrentTimestamp());
  auto* const buffer = static_cast<Shard**>(palloc(Max(shards.size(), 1) * sizeof(Shard*)));
  for (const Shard& shard : shards) {
    if (shard.done) continue;
    Group group = next_group(shards, {buffer, shards.size()}, shard, present, now);
    bool relayed = relay(group, max_rows, sampler, output);
    if (!relayed && shard.target) {
      // An earlier drain began this window, and no messages are left in it. Begin the next window at the end of this
      // one.
      group.window = {group.window.target, present, 0};
      relayed = relay(group, max_rows, sampler, output);
    }
    any = any || relayed;
  }
  sampler.close();
  return any;
}

}  // namespace

SEALCAST_FUNCTION(sealcast_drain) {
  const int max_rows = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
  if (max_rows < 1 || max_rows > kMaxRows) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("max_rows must be between 1 and %d, not %d", kMaxRows, max_rows)));
  }
  Output output(fcinfo);
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2)) return static_cast<Datum>(0);
  PreventCommandIfReadOnly("sealcast_internal.drain()");
  // A Position promises that every transaction with an xid after own_xid has message_ids beyond newest_id. So newest_id
  // is read before this transaction takes its xid. If this transaction already has an xid, newest_id is 0:
  // the promise always holds for 0.
  const int64 newest_id = FullTransactionIdIsValid(GetTopFullTransactionIdIfAny()) ? 0 : newest_message_id();
  const uint64 own_xid = U64FromFullTransactionId(GetTopFullTransactionId());

  bool others_listen = false;
  const Shards shards = lock_shards(fcinfo, others_listen);
  PushActiveSnapshot(GetTransactionSnapshot());
  read_positions(shards);
  const Position present{to_text(committed_snapshot(own_xid)), own_xid, newest_id};
  if (drain(shards, present, max_rows, output) && others_listen) wake::request();
  PopActiveSnapshot();
  return static_cast<Datum>(0);
}

}  // namespace sealcast::relay
