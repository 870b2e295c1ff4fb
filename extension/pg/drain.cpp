// drain(): relays the next batch of the holder's shards: gives offsets, logs them, moves the position, hands over the
// envelopes. One statement, so that all of it happens or nothing.
#include "core/envelope.h"
#include "bulk_insert.h"
#include "datum.h"
#include "guard.h"
#include "index_lookup.h"
#include "offsets.h"
#include "outbox.h"
#include "partitions.h"
#include "sealing.h"
#include "spi_plan.h"
#include "wake.h"

extern "C" {
#include "access/table.h"
#include "access/xact.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"
}

namespace sealcast::relay {
namespace {

constexpr int kMaxRows = 100'000;

// A shard that the caller leads, and the newest row of relay_log: where it stands. Before the first batch it has seen
// nothing.
struct Shard {
  int id;
  int64 epoch;
  int64 batch = 0;
  int64 logged_at = 0;
  const char* seen = "1:1:";
  uint64 seen_xid = 0;
  int64 seen_id = 0;
  const char* target = nullptr;  // null = the last window was relayed to its end
  uint64 target_xid = 0;
  int64 target_id = 0;
  int64 after_id = 0;
  bool done = false;

  bool stands_with(const Shard& other) const {
    const auto same = [](const char* a, const char* b) {
      return a == nullptr || b == nullptr ? a == b : std::strcmp(a, b) == 0;
    };
    return same(seen, other.seen) && seen_xid == other.seen_xid && seen_id == other.seen_id &&
           same(target, other.target) && target_xid == other.target_xid && target_id == other.target_id &&
           after_id == other.after_id;
  }
};

using Shards = std::span<Shard>;

// Holding the lease rows keeps a successor out until this transaction has ended. A shard whose epoch is not the
// caller's any more is left out: its next claim_shards() tells.
SpiPlan lock_leases{
    "select l.shard, l.epoch, exists (select from sealcast.relay_members m where m.holder <> $1"
    " and m.seen_at > clock_timestamp() - interval '10 s')"
    " from sealcast.relay_leases l join unnest($2, $3) c (shard, epoch) on c.shard = l.shard and c.epoch = l.epoch"
    " where l.holder = $1 order by l.shard for update of l",
    {TEXTOID, INT4ARRAYOID, INT8ARRAYOID}};

Shards lock_shards(FunctionCallInfo fcinfo, bool& others_listen) {
  const Datum arguments[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
  MemoryContext const memory = CurrentMemoryContext;
  SpiRows rows = lock_leases.run(arguments);
  const int count = rows.count();
  auto* const shards = static_cast<Shard*>(MemoryContextAlloc(memory, Max(count, 1) * sizeof(Shard)));
  for (int i = 0; i < count; ++i) {
    new (&shards[i]) Shard{DatumGetInt16(*rows.value(i, 0)), DatumGetInt64(*rows.value(i, 1))};
    others_listen = DatumGetBool(*rows.value(i, 2));
  }
  rows.finish();
  return {shards, static_cast<std::size_t>(count)};
}

void read_positions(Shards shards) {
  IndexLookup log = IndexLookup::open("relay_log");
  const auto number = [&log](const char* name) { return DatumGetInt64(log.value(log.column(name))); };
  const auto xid = [](Datum value) { return U64FromFullTransactionId(DatumGetFullTransactionId(value)); };
  const auto snapshot = [](Datum value) { return DatumGetCString(DirectFunctionCall1(pg_snapshot_out, value)); };
  for (Shard& shard : shards) {
    const Datum key[] = {Int16GetDatum(static_cast<int16>(shard.id))};
    log.find(key);
    if (!log.last()) continue;
    shard.batch = number("batch");
    shard.logged_at = number("logged_at");
    shard.seen = snapshot(log.value(log.column("seen")));
    shard.seen_xid = xid(log.value(log.column("seen_xid")));
    shard.seen_id = number("seen_id");
    shard.after_id = number("after_id");
    if (const std::optional<Datum> target = log.optional(log.column("target"))) {
      shard.target = snapshot(*target);
      shard.target_xid = xid(log.value(log.column("target_xid")));
      shard.target_id = number("target_id");
    }
  }
  log.close();
}

// What this drain goes to when it begins a new window.
struct Present {
  const char* snapshot;
  uint64 xid;
  int64 newest_id;
};

// Shards that stand at one position and are relayed together.
struct Group {
  std::span<Shard*> shards;
  Shard from;  // the position
  int64 logged_at;

  Window window() const {
    return {read_position(from.seen), from.seen_xid, from.seen_id,
            read_position(from.target), from.target_xid, from.target_id, from.after_id};
  }
  uint32 bits() const {
    uint32 bits = 0;
    for (const Shard* shard : shards) bits |= uint32{1} << shard->id;
    return bits;
  }
};

// Sorts pointers to the rows so that those of one stream stand together, in order of message_id.
std::span<OutboxRow*> by_stream(std::span<OutboxRow> rows) {
  auto* const order = static_cast<OutboxRow**>(palloc(rows.size() * sizeof(OutboxRow*)));
  for (std::size_t i = 0; i < rows.size(); ++i) order[i] = &rows[i];
  qsort(order, rows.size(), sizeof(OutboxRow*), [](const void* a, const void* b) {
    const OutboxRow& left = **static_cast<OutboxRow* const*>(a);
    const OutboxRow& right = **static_cast<OutboxRow* const*>(b);
    if (left.shard != right.shard) return left.shard - right.shard;
    const int order_of_streams = std::memcmp(&left.stream_id, &right.stream_id, UUID_LEN);
    if (order_of_streams != 0) return order_of_streams;
    return left.message_id < right.message_id ? -1 : 1;
  });
  return {order, rows.size()};
}

bool same_stream(const OutboxRow& a, const OutboxRow& b) {
  return std::memcmp(&a.stream_id, &b.stream_id, UUID_LEN) == 0;
}

// One look-up of the last offset a stream, not a message.
void number(std::span<OutboxRow*> ordered) {
  LastOffsets last_offsets = LastOffsets::open();
  const OutboxRow* before = nullptr;
  for (OutboxRow* row : ordered) {
    const bool goes_on = before != nullptr && same_stream(*before, *row);
    row->offset = (goes_on ? before->offset : last_offsets.of(row->stream_id)) + 1;
    before = row;
  }
  last_offsets.close();
}

void log_offsets(std::span<const OutboxRow> rows, int64 logged_at) {
  static constexpr const char* kColumns[] = {"stream_id", "offset", "logged_at", "ts", "message_id"};
  bulk_insert("stream_log", kColumns, static_cast<int>(rows.size()), [&](int i, Datum* values, bool*) {
    const OutboxRow& row = rows[static_cast<std::size_t>(i)];
    values[0] = UUIDPGetDatum(&row.stream_id);
    values[1] = Int64GetDatum(row.offset);
    values[2] = Int64GetDatum(logged_at);
    values[3] = Int64GetDatum(row.ts);
    values[4] = Int64GetDatum(row.message_id);
  });
}

// For each stream of a shard a run of offsets, as three arrays.
struct Runs {
  Datum stream_ids, first_offsets, last_offsets;
};

Runs runs_of(int shard, std::span<OutboxRow* const> ordered) {
  auto* const streams = static_cast<Datum*>(palloc(ordered.size() * sizeof(Datum)));
  auto* const firsts = static_cast<Datum*>(palloc(ordered.size() * sizeof(Datum)));
  auto* const lasts = static_cast<Datum*>(palloc(ordered.size() * sizeof(Datum)));
  int count = 0;
  const OutboxRow* before = nullptr;
  for (const OutboxRow* row : ordered) {
    if (row->shard != shard) continue;
    if (before == nullptr || !same_stream(*before, *row)) {
      streams[count] = UUIDPGetDatum(&row->stream_id);
      firsts[count] = Int64GetDatum(row->offset);
      ++count;
    }
    lasts[count - 1] = Int64GetDatum(row->offset);
    before = row;
  }
  const auto bigints = [count](Datum* values) {
    return PointerGetDatum(construct_array(values, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
  };
  return {PointerGetDatum(construct_array(streams, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR)), bigints(firsts),
          bigints(lasts)};
}

// Moves the group past the window, or to the last row of a batch that filled up before its end. Every shard gets a row,
// also one that had nothing, so that they go on standing at one position.
void log_batch(const Group& group, std::span<const OutboxRow> rows, std::span<OutboxRow* const> ordered, bool complete) {
  static constexpr const char* kColumns[] = {"shard",      "batch",      "epoch",         "logged_at",   "seen",
                                             "seen_xid",   "seen_id",    "target",        "target_xid",  "target_id",
                                             "after_id",   "stream_ids", "first_offsets", "last_offsets"};
  const Shard& from = group.from;
  const auto snapshot = [](const char* text) { return DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(text)); };
  const auto xid = [](uint64 value) { return FullTransactionIdGetDatum(FullTransactionIdFromU64(value)); };
  bulk_insert("relay_log", kColumns, static_cast<int>(group.shards.size()), [&](int i, Datum* values, bool* nulls) {
    const Shard& shard = *group.shards[static_cast<std::size_t>(i)];
    const Runs runs = runs_of(shard.id, ordered);
    values[0] = Int16GetDatum(static_cast<int16>(shard.id));
    values[1] = Int64GetDatum(shard.batch + 1);
    values[2] = Int64GetDatum(shard.epoch);
    values[3] = Int64GetDatum(group.logged_at);
    values[4] = snapshot(complete ? from.target : from.seen);
    values[5] = xid(complete ? from.target_xid : from.seen_xid);
    values[6] = Int64GetDatum(complete ? from.target_id : from.seen_id);
    nulls[7] = nulls[8] = nulls[9] = complete;
    if (!complete) {
      values[7] = snapshot(from.target);
      values[8] = xid(from.target_xid);
      values[9] = Int64GetDatum(from.target_id);
    }
    values[10] = Int64GetDatum(complete ? 0 : rows.back().message_id);
    values[11] = runs.stream_ids;
    values[12] = runs.first_offsets;
    values[13] = runs.last_offsets;
  });
}

// The rows that drain() returns.
class Output {
 public:
  explicit Output(FunctionCallInfo fcinfo) {
    InitMaterializedSRF(fcinfo, 0);
    result_ = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  }

  void put(int64 batch, const OutboxRow& row, const varlena* envelope) {
    pg_uuid_t stream_id = row.stream_id;
    Datum values[] = {Int32GetDatum(row.shard),      Int64GetDatum(batch),          UUIDPGetDatum(&stream_id),
                      Int64GetDatum(row.offset),     Int64GetDatum(row.offset - 1), PointerGetDatum(envelope)};
    bool nulls[] = {false, false, false, false, false, envelope == nullptr};
    tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
  }

  void put_empty(int shard, int64 batch) {
    Datum values[] = {Int32GetDatum(shard), Int64GetDatum(batch), 0, 0, 0, 0};
    bool nulls[] = {false, false, true, true, true, true};
    tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
  }

 private:
  ReturnSetInfo* result_;
};

// A partition of messages, read by its key.
struct Messages {
  Relation parent;
  Oid partition = InvalidOid;
  IndexLookup rows{};
  int message_id = 0, sender_id = 0, txn_id = 0, t = 0, kid = 0, sig = 0, d = 0;

  void enter(int64 ts) {
    const Oid next = partition_for(parent, Int64GetDatum(ts));
    if (next == partition) return;
    leave();
    partition = next;
    if (!OidIsValid(next)) return;
    rows = IndexLookup::open(next);
    message_id = rows.column("message_id");
    sender_id = rows.column("sender_id");
    txn_id = rows.column("txn_id");
    t = rows.column("t");
    kid = rows.column("kid");
    sig = rows.column("sig");
    d = rows.column("d");
  }
  void leave() {
    if (OidIsValid(partition)) rows.close();
    partition = InvalidOid;
  }

  // Of the row that stands.
  const varlena* envelope(const OutboxRow& row) {
    const UuidText stream(row.stream_id), sender(*DatumGetUUIDP(rows.value(sender_id))),
        txn(*DatumGetUUIDP(rows.value(txn_id)));
    const text* const type = DatumGetTextPP(rows.value(t));
    const text* const key = DatumGetTextPP(rows.value(kid));
    const text* const payload = DatumGetTextPP(rows.value(d));
    const std::string_view signature = view(DatumGetByteaPP(rows.value(sig)));
    Digest digest{};
    std::memcpy(digest.data(), signature.data(), Min(signature.size(), digest.size()));
    varlena* result = nullptr;
    guarded([&](CancelFlag) {
      Scratch buffer;
      append_envelope({view(type), stream.view(), sender.view(), txn.view(), row.ts}, view(key), view(payload), digest,
                      *buffer);
      result = new_varlena(*buffer);
    });
    return result;
  }
};

// Neighbours of one moment are one index range: what a batch admitted lies side by side.
void hand_over(const Group& group, std::span<const OutboxRow> rows, Output& output) {
  int64 batches[32] = {};
  bool filled[32] = {};
  for (const Shard* shard : group.shards) batches[shard->id] = shard->batch + 1;
  MemoryContext const row_memory = AllocSetContextCreate(CurrentMemoryContext, "sealcast envelopes", ALLOCSET_DEFAULT_SIZES);
  Messages messages{table_open(table_id("messages"), AccessShareLock)};
  for (std::size_t first = 0; first < rows.size();) {
    CHECK_FOR_INTERRUPTS();
    std::size_t end = first + 1;
    while (end < rows.size() && rows[end].ts == rows[first].ts) ++end;
    messages.enter(rows[first].ts);
    bool standing = OidIsValid(messages.partition);
    if (standing) {
      const Condition conditions[] = {{0, BTEqualStrategyNumber, Int64GetDatum(rows[first].ts)},
                                      {1, BTGreaterEqualStrategyNumber, Int64GetDatum(rows[first].message_id)},
                                      {1, BTLessEqualStrategyNumber, Int64GetDatum(rows[end - 1].message_id)}};
      messages.rows.find(conditions);
      standing = messages.rows.next();
    }
    for (std::size_t i = first; i < end; ++i) {
      const OutboxRow& row = rows[i];
      while (standing && DatumGetInt64(messages.rows.value(messages.message_id)) < row.message_id) {
        standing = messages.rows.next();
      }
      const bool found = standing && DatumGetInt64(messages.rows.value(messages.message_id)) == row.message_id;
      MemoryContext const before = MemoryContextSwitchTo(row_memory);
      output.put(batches[row.shard], row, found ? messages.envelope(row) : nullptr);
      MemoryContextSwitchTo(before);
      MemoryContextReset(row_memory);
      filled[row.shard] = true;
    }
    first = end;
  }
  messages.leave();
  table_close(messages.parent, NoLock);
  MemoryContextDelete(row_memory);
  for (const Shard* shard : group.shards) {
    if (!filled[shard->id]) output.put_empty(shard->id, shard->batch + 1);
  }
}

// False when the window holds nothing (more).
bool relay(const Group& group, int max_rows, Output& output) {
  const std::span<OutboxRow> rows = next_rows(group.window(), group.bits(), max_rows);
  if (rows.empty()) return false;
  const std::span<OutboxRow*> ordered = by_stream(rows);
  number(ordered);
  log_offsets(rows, group.logged_at);
  log_batch(group, rows, ordered, static_cast<int>(rows.size()) < max_rows);
  hand_over(group, rows, output);
  return true;
}

void begin_window(Shard& from, const Present& present) {
  from.target = present.snapshot;
  from.target_xid = present.xid;
  from.target_id = present.newest_id;
}

// The shards that stand where the first that is left stands.
Group next_group(Shards shards, std::span<Shard*> room, Shard& first, int64 now) {
  std::size_t count = 0;
  int64 logged_at = now;
  for (Shard& shard : shards) {
    if (shard.done || !shard.stands_with(first)) continue;
    room[count++] = &shard;
    // Never earlier than the batch before, whatever the clock does.
    logged_at = Max(logged_at, shard.logged_at);
  }
  for (std::size_t i = 0; i < count; ++i) room[i]->done = true;
  return {room.first(count), first, logged_at};
}

bool drain(Shards shards, const Present& present, int max_rows, Output& output) {
  bool any = false;
  const int64 now = unix_ms(GetCurrentTimestamp());
  auto* const room = static_cast<Shard**>(palloc(Max(shards.size(), 1) * sizeof(Shard*)));
  for (Shard& shard : shards) {
    if (shard.done) continue;
    Group group = next_group(shards, {room, shards.size()}, shard, now);
    const bool open = group.from.target != nullptr;
    if (!open) begin_window(group.from, present);
    bool relayed = relay(group, max_rows, output);
    if (!relayed && open) {
      // The window that was begun earlier is exhausted; the next one starts where it ends.
      group.from.seen = group.from.target;
      group.from.seen_xid = group.from.target_xid;
      group.from.seen_id = group.from.target_id;
      group.from.after_id = 0;
      begin_window(group.from, present);
      relayed = relay(group, max_rows, output);
    }
    any = any || relayed;
  }
  return any;
}

}  // namespace
}  // namespace sealcast::relay

SEALCAST_FUNCTION(sealcast_drain) {
  using namespace sealcast;
  using namespace sealcast::relay;
  const int max_rows = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
  if (max_rows < 1 || max_rows > kMaxRows) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("max_rows must be 1 to %d, not %d", kMaxRows, max_rows)));
  }
  Output output(fcinfo);
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2)) return static_cast<Datum>(0);
  PreventCommandIfReadOnly("sealcast.drain()");
  // Read before this transaction has its xid: who gets a later one gets later message_ids too.
  const int64 newest_id = FullTransactionIdIsValid(GetTopFullTransactionIdIfAny()) ? 0 : newest_message_id();
  const uint64 own_xid = U64FromFullTransactionId(GetTopFullTransactionId());

  bool others_listen = false;
  const Shards shards = lock_shards(fcinfo, others_listen);
  PushActiveSnapshot(GetTransactionSnapshot());
  read_positions(shards);
  const Present present{to_text(committed_position(own_xid)), own_xid, newest_id};
  if (drain(shards, present, max_rows, output) && others_listen) wake::request();
  PopActiveSnapshot();
  return static_cast<Datum>(0);
}
