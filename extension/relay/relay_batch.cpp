// Reads the messages of runs and turns them into the frames of a drain.
#include "relay/relay_batch.h"

#include "core/envelope.h"
#include "server/catalog.h"
#include "server/datum.h"
#include "server/guard.h"
#include "server/index_lookup.h"

extern "C" {
#include "access/table.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
}

namespace sealcast::relay {
namespace {

constexpr int kMaxShards = 32;  // relay_leases has fewer rows

// Reads the table `messages` by the primary key (ts, message_id). Keeps one day partition open at a time.
struct Messages {
  Relation parent;
  Oid partition = InvalidOid;
  server::IndexLookup rows{};
  int message_id = 0, sender_id = 0, txn_id = 0, t = 0, kid = 0, sig = 0, d = 0;

  // Opens the partition of this time. If retention has dropped it, `partition` is InvalidOid.
  void open_partition(int64 ts) {
    const Oid next = server::partition_for(parent, Int64GetDatum(ts));
    if (next == partition) return;
    close_partition();
    partition = next;
    if (!OidIsValid(next)) return;
    rows = server::IndexLookup::open(next);
    message_id = rows.column("message_id");
    sender_id = rows.column("sender_id");
    txn_id = rows.column("txn_id");
    t = rows.column("t");
    kid = rows.column("kid");
    sig = rows.column("sig");
    d = rows.column("d");
  }
  void close_partition() {
    if (OidIsValid(partition)) rows.close();
    partition = InvalidOid;
  }

  int64 id() { return DatumGetInt64(rows.value(message_id)); }

  // Returns whether the message in the current row, which belongs to `run`, is on the public channel.
  bool is_public(const Run& run, Sampler& sampler) {
    return run.stream->rate == kUnsampled ||
           sampler.carries(run.stream->rate, run.stream_id, *DatumGetUUIDP(rows.value(sender_id)),
                           DatumGetTextPP(rows.value(t)), DatumGetTextPP(rows.value(d)));
  }

  // Returns the envelope of the message in the current row, which belongs to `run`.
  const varlena* envelope(const Run& run) {
    const server::UuidText stream(run.stream_id), sender(*DatumGetUUIDP(rows.value(sender_id))),
        txn(*DatumGetUUIDP(rows.value(txn_id)));
    const text* const type = DatumGetTextPP(rows.value(t));
    const text* const key = DatumGetTextPP(rows.value(kid));
    const text* const payload = DatumGetTextPP(rows.value(d));
    const std::string_view signature = server::view(DatumGetByteaPP(rows.value(sig)));
    varlena* result = nullptr;
    server::guarded([&](core::CancelFlag) {
      server::Scratch buffer;
      core::append_envelope({server::view(type), stream.view(), sender.view(), txn.view(), run.ts}, server::view(key),
                            server::view(payload), signature, *buffer);
      result = server::new_varlena(*buffer);
    });
    return result;
  }
};

// Adds the messages of one run to the output. They are one range of the primary key. A message that retention has
// dropped has no envelope and counts as on the public channel. The function allocates in
// `memory`, and resets it after each message.
void put_run(Messages& messages, Run& run, int64 batch, Sampler& sampler, MemoryContext memory, Output& output) {
  run.public_before = run.stream->public_offset;
  messages.open_partition(run.ts);
  bool has_row = OidIsValid(messages.partition);
  if (has_row) {
    const server::Condition conditions[] = {{0, BTEqualStrategyNumber, Int64GetDatum(run.ts)},
                                            {1, BTGreaterEqualStrategyNumber, Int64GetDatum(run.first_id)},
                                            {1, BTLessStrategyNumber, Int64GetDatum(run.first_id + run.messages)}};
    messages.rows.find(conditions);
    has_row = messages.rows.next();
  }
  for (int i = 0; i < run.messages; ++i) {
    const bool found = has_row && messages.id() == run.first_id + i;
    MemoryContext const before = MemoryContextSwitchTo(memory);
    std::optional<int64> public_prev;
    if (!found || messages.is_public(run, sampler)) {
      public_prev = run.stream->public_offset;
      run.make_public(i);
    }
    output.put(batch, run, i, found ? messages.envelope(run) : nullptr, public_prev);
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory);
    if (found) has_row = messages.rows.next();
  }
}

}  // namespace

Output::Output(FunctionCallInfo fcinfo) {
  InitMaterializedSRF(fcinfo, 0);
  result_ = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
}

void Output::put(int64 batch, const Run& run, int i, const varlena* envelope, std::optional<int64> public_prev) {
  const int64 offset = run.offset + i;
  Datum values[] = {Int32GetDatum(run.shard),
                    Int64GetDatum(batch),
                    UUIDPGetDatum(&run.stream_id),
                    Int64GetDatum(offset),
                    Int64GetDatum(offset - 1),
                    PointerGetDatum(envelope),
                    Int64GetDatum(public_prev.value_or(0))};
  bool nulls[] = {false, false, false, false, false, envelope == nullptr, !public_prev};
  tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
}

void Output::put_empty(int shard, int64 batch) {
  Datum values[] = {Int32GetDatum(shard), Int64GetDatum(batch), 0, 0, 0, 0, 0};
  bool nulls[] = {false, false, true, true, true, true, true};
  tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
}

void put_frames(const Group& group, std::span<Run> runs, Sampler& sampler, Output& output) {
  int64 batches[kMaxShards] = {};
  bool filled[kMaxShards] = {};
  for (const Shard* shard : group.shards) batches[shard->id] = shard->batch + 1;
  MemoryContext const memory = AllocSetContextCreate(CurrentMemoryContext, "sealcast envelope", ALLOCSET_DEFAULT_SIZES);
  Messages messages{table_open(server::table_id("messages"), AccessShareLock)};
  for (Run& run : runs) {
    CHECK_FOR_INTERRUPTS();
    put_run(messages, run, batches[run.shard], sampler, memory, output);
    filled[run.shard] = true;
  }
  messages.close_partition();
  table_close(messages.parent, NoLock);
  MemoryContextDelete(memory);
  for (const Shard* shard : group.shards) {
    if (!filled[shard->id]) output.put_empty(shard->id, shard->batch + 1);
  }
}

}  // namespace sealcast::relay
