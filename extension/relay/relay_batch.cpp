// Reads the messages of runs and turns them into the frames of a drain.
#include "relay/relay_batch.h"

#include "relay/retained.h"

extern "C" {
#include "utils/memutils.h"
#include "utils/tuplestore.h"
}

namespace sealcast::relay {
namespace {

constexpr int kMaxShards = 32;  // relay_leases has fewer rows

// Returns whether the current message, which belongs to `run`, is on the public channel. The tier of a redacted message
// is unknown, so it is.
bool is_public(StoredMessages& messages, const Run& run, Sampler& sampler) {
  if (run.stream->rate == kUnsampled) return true;
  const text* const d = messages.d();
  return d == nullptr || sampler.carries(run.stream->rate, run.stream_id, messages.sender_id(), messages.t(), d);
}

// Adds the messages of one run to the output. A message whose row is gone has no envelope and counts as on the public
// channel. The function allocates in `memory`, and resets it after each message.
void put_run(StoredMessages& messages, Run& run, int64 batch, Sampler& sampler, Retained& retained,
             MemoryContext memory, Output& output) {
  run.public_before = run.stream->public_offset;
  messages.find(run.ts, run.first_id, run.first_id + run.messages);
  for (int i = 0; i < run.messages; ++i) {
    const bool found = messages.exists(run.first_id + i);
    MemoryContext const before = MemoryContextSwitchTo(memory);
    std::optional<int64> public_prev;
    if (!found || is_public(messages, run, sampler)) {
      public_prev = run.stream->public_offset;
      run.make_public(i);
    }
    const bool is_retained = found && retained.includes(messages.t());
    if (is_retained && public_prev) retained.add(run, i, *public_prev);
    output.put(batch, run, i, found ? messages.envelope(run.stream_id) : StoredMessages::Envelope{}, public_prev,
               is_retained);
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory);
  }
}

}  // namespace

Output::Output(FunctionCallInfo fcinfo) {
  InitMaterializedSRF(fcinfo, 0);
  result_ = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
}

void Output::put(int64 batch, const Run& run, int i, const StoredMessages::Envelope& envelope,
                 std::optional<int64> public_prev, bool is_retained) {
  const int64 offset = run.offset + i;
  Datum values[] = {Int32GetDatum(run.shard),
                    Int64GetDatum(batch),
                    UUIDPGetDatum(&run.stream_id),
                    Int64GetDatum(offset),
                    Int64GetDatum(offset - 1),
                    PointerGetDatum(envelope.text),
                    Int64GetDatum(public_prev.value_or(0)),
                    PointerGetDatum(envelope.redacted),
                    BoolGetDatum(is_retained)};
  bool nulls[] = {
      false, false, false, false, false, envelope.text == nullptr, !public_prev, envelope.redacted == nullptr, false};
  tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
}

void Output::put_empty(int shard, int64 batch) {
  Datum values[] = {Int32GetDatum(shard), Int64GetDatum(batch), 0, 0, 0, 0, 0, 0, 0};
  bool nulls[] = {false, false, true, true, true, true, true, true, true};
  tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
}

void put_frames(const Group& group, std::span<Run> runs, Sampler& sampler, Output& output) {
  int64 batches[kMaxShards] = {};
  bool filled[kMaxShards] = {};
  for (const Shard* shard : group.shards) batches[shard->id] = shard->batch + 1;
  MemoryContext const memory = AllocSetContextCreate(CurrentMemoryContext, "sealcast envelope", ALLOCSET_DEFAULT_SIZES);
  Retained retained = Retained::open();
  StoredMessages messages = StoredMessages::open();
  for (Run& run : runs) {
    CHECK_FOR_INTERRUPTS();
    put_run(messages, run, batches[run.shard], sampler, retained, memory, output);
    filled[run.shard] = true;
  }
  messages.close();
  MemoryContextDelete(memory);
  retained.save();
  for (const Shard* shard : group.shards) {
    if (!filled[shard->id]) output.put_empty(shard->id, shard->batch + 1);
  }
}

}  // namespace sealcast::relay
