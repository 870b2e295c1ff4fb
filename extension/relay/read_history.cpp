// The SQL function read_history(): a page of a stream's history.
#include "core/history_page.h"
#include "relay/stored_messages.h"
#include "relay/stream_runs.h"

extern "C" {
#include "utils/memutils.h"
#include "utils/tuplestore.h"
}

namespace sealcast::relay {
namespace {

constexpr int kMaxRows = 10000;
// Far from the ends of int64, so that no sum overflows. An offset is at most 2^53 - 1.
constexpr int64 kMaxOffset = int64{1} << 62;

struct Page {
  int64 above;     // the page has offsets above this one …
  int64 below;     // … and below this one
  bool forwards;   // whether it begins at `above` or at `below`
  int rows;        // at most this many messages
  bool is_public;  // whether it has only the messages of the public channel
};

// Adds the messages of a run to the result. Returns whether the page has room for more.
class Writer {
 public:
  Writer(FunctionCallInfo fcinfo, const pg_uuid_t& stream_id, const Page& page)
      : stream_id_(stream_id), page_(page), rows_left_(page.rows) {
    InitMaterializedSRF(fcinfo, 0);
    result_ = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    memory_ = AllocSetContextCreate(CurrentMemoryContext, "sealcast envelope", ALLOCSET_DEFAULT_SIZES);
  }
  void close() { MemoryContextDelete(memory_); }

  bool put(const LoggedRun& run, StoredMessages& messages) {
    const int64 first = Max(run.offset, page_.above + 1), last = Min(run.last(), page_.below - 1);
    bool found_run = false;
    for (int64 step = 0; step <= last - first; ++step) {
      const int64 offset = page_.forwards ? first + step : last - step;
      const int i = static_cast<int>(offset - run.offset);
      const bool is_public = run.public_messages.contains(i);
      if (page_.is_public && !is_public) continue;
      if (!found_run) {
        messages.find(run.ts, run.first_id, run.first_id + run.messages,
                      page_.forwards ? ForwardScanDirection : BackwardScanDirection);
        found_run = true;
      }
      put_message(run, offset, is_public, messages.exists(run.first_id + i), messages);
      if (--rows_left_ == 0 || bytes_left_ <= 0) return false;
    }
    return true;
  }

 private:
  void put_message(const LoggedRun& run, int64 offset, bool is_public, bool found, StoredMessages& messages) {
    MemoryContext const before = MemoryContextSwitchTo(memory_);
    const StoredMessages::Envelope envelope = found ? messages.envelope(stream_id_) : StoredMessages::Envelope{};
    const int64 public_prev = run.public_messages.offset_before(run.offset, offset - run.offset);
    Datum values[] = {Int64GetDatum(offset), Int64GetDatum(offset - 1), PointerGetDatum(envelope.text),
                      Int64GetDatum(public_prev), PointerGetDatum(envelope.redacted)};
    bool nulls[] = {false, false, envelope.text == nullptr, !is_public, envelope.redacted == nullptr};
    tuplestore_putvalues(result_->setResult, result_->setDesc, values, nulls);
    if (envelope.text != nullptr) bytes_left_ -= static_cast<int64>(VARSIZE_ANY_EXHDR(envelope.text));
    MemoryContextSwitchTo(before);
    MemoryContextReset(memory_);
  }

  const pg_uuid_t& stream_id_;
  const Page& page_;
  int rows_left_;
  int64 bytes_left_ = core::kMaxPageBytes;
  ReturnSetInfo* result_;
  MemoryContext memory_;
};

}  // namespace

SEALCAST_FUNCTION(sealcast_read_history) {
  if (PG_ARGISNULL(3) || PG_GETARG_INT32(3) < 1 || PG_GETARG_INT32(3) > kMaxRows) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_rows must be between 1 and %d", kMaxRows)));
  }
  if (PG_ARGISNULL(0)) {  // no stream has this id: the page is empty
    InitMaterializedSRF(fcinfo, 0);
    PG_RETURN_NULL();
  }
  const pg_uuid_t& stream_id = *PG_GETARG_UUID_P(0);
  const bool forwards = !PG_ARGISNULL(1);
  const Page page{.above = forwards ? std::clamp(PG_GETARG_INT64(1), int64{0}, kMaxOffset) : 0,
                  .below = PG_ARGISNULL(2) ? kMaxOffset : std::clamp(PG_GETARG_INT64(2), int64{0}, kMaxOffset),
                  .forwards = forwards,
                  .rows = PG_GETARG_INT32(3),
                  .is_public = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4)};
  Writer writer(fcinfo, stream_id, page);
  StoredMessages messages = StoredMessages::open();
  StreamRuns runs =
      forwards ? StreamRuns::forwards(stream_id, page.above + 1) : StreamRuns::backwards(stream_id, page.below);
  while (const LoggedRun* const run = runs.next()) {
    CHECK_FOR_INTERRUPTS();
    if (forwards && run->offset >= page.below) break;
    if (!writer.put(*run, messages)) break;
  }
  runs.close();
  messages.close();
  writer.close();
  PG_RETURN_NULL();
}

}  // namespace sealcast::relay
