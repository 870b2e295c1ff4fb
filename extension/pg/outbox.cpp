// Reading the outbox: see outbox.h.
#include "outbox.h"

#include "index_lookup.h"

extern "C" {
#include "utils/fmgrprotos.h"
#include "utils/xid8.h"
}

namespace sealcast {
namespace {

constexpr int kSegments = 3;

// Null: it has never been moved from its start.
std::optional<int64> last_value(const char* sequence) {
  LOCAL_FCINFO(call, 1);
  InitFunctionCallInfoData(*call, nullptr, 1, InvalidOid, nullptr, nullptr);
  call->args[0].value = ObjectIdGetDatum(table_id(sequence));
  call->args[0].isnull = false;
  const Datum last = pg_sequence_last_value(call);
  if (call->isnull) return std::nullopt;
  return DatumGetInt64(last);
}

Datum xid_datum(uint64 xid) { return FullTransactionIdGetDatum(FullTransactionIdFromU64(xid)); }

// What has been found so far, and by which rule more is taken.
struct Search {
  const Window& window;
  uint32 shards;
  int max_rows;
  OutboxRow* rows = nullptr;
  int count = 0;
  int room = 0;

  void add(const OutboxRow& row) {
    if (count == room) {
      room = Max(64, room * 2);
      const Size bytes = static_cast<Size>(room) * sizeof(OutboxRow);
      rows = static_cast<OutboxRow*>(rows == nullptr ? palloc(bytes) : repalloc_huge(rows, bytes));
    }
    rows[count++] = row;
  }
};

// A segment of the outbox, read through one of its two indexes.
struct Segment {
  IndexLookup rows;
  int xid, message_id, ts, stream_id, shard;

  static Segment open(int number, const char* index) {
    Segment segment{IndexLookup::open(psprintf("outbox_%d", number), psprintf("outbox_%d_%s_idx", number, index)), 0, 0,
                    0, 0, 0};
    segment.xid = segment.rows.column("xid");
    segment.message_id = segment.rows.column("message_id");
    segment.ts = segment.rows.column("ts");
    segment.stream_id = segment.rows.column("stream_id");
    segment.shard = segment.rows.column("shard");
    return segment;
  }

  uint64 row_xid() { return U64FromFullTransactionId(DatumGetFullTransactionId(rows.value(xid))); }

  // True when the row is of a shard that is asked for.
  bool take(Search& search) {
    const int row_shard = DatumGetInt16(rows.value(shard));
    if ((search.shards >> row_shard & 1) == 0) return false;
    search.add({DatumGetInt64(rows.value(message_id)), DatumGetInt64(rows.value(ts)),
                *DatumGetUUIDP(rows.value(stream_id)), row_shard, 0});
    return true;
  }
};

// Those of one transaction.
void search_transaction(Segment& by_xid, uint64 xid, Search& search) {
  if (!search.window.target.has_ended(xid)) return;
  const Condition conditions[] = {{0, BTEqualStrategyNumber, xid_datum(xid)},
                                  {1, BTGreaterStrategyNumber, Int64GetDatum(search.window.after_id)}};
  by_xid.rows.find(conditions);
  for (int left = search.max_rows; left > 0 && by_xid.rows.next();) left -= by_xid.take(search);
}

// Those who had been running when `seen` was taken, or began before its drain had its xid: few.
void search_running(int number, Search& search) {
  const Window& window = search.window;
  Segment by_xid = Segment::open(number, "xid_message_id");
  for (const uint64 xid : window.seen.running) search_transaction(by_xid, xid, search);
  for (uint64 from = window.seen.xmax; from <= window.seen_xid;) {
    const Condition conditions[] = {{0, BTGreaterEqualStrategyNumber, xid_datum(from)},
                                    {0, BTLessEqualStrategyNumber, xid_datum(window.seen_xid)}};
    by_xid.rows.find(conditions);
    if (!by_xid.rows.next()) break;
    const uint64 xid = by_xid.row_xid();
    search_transaction(by_xid, xid, search);
    from = xid + 1;
  }
  by_xid.rows.close();
}

// Those who began since: their ids are beyond seen_id.
void search_newcomers(int number, Search& search) {
  const Window& window = search.window;
  Segment by_id = Segment::open(number, "message_id");
  const Condition conditions[] = {
      {0, BTGreaterStrategyNumber, Int64GetDatum(Max(window.seen_id, window.after_id))}};
  by_id.rows.find(conditions);
  for (int left = search.max_rows; left > 0 && by_id.rows.next();) {
    const uint64 xid = by_id.row_xid();
    if (xid >= window.seen.xmax && xid > window.seen_xid && window.target.has_ended(xid)) left -= by_id.take(search);
  }
  by_id.rows.close();
}

}  // namespace

int16 outbox_segment() { return static_cast<int16>(last_value("outbox_segment").value_or(0)); }

int64 newest_message_id() { return last_value("message_ids").value_or(0); }

std::span<OutboxRow> next_rows(const Window& window, uint32 shards, int max_rows) {
  Search search{window, shards, max_rows};
  for (int number = 0; number < kSegments; ++number) {
    search_running(number, search);
    search_newcomers(number, search);
  }
  if (search.count > 1) {
    qsort(search.rows, static_cast<std::size_t>(search.count), sizeof(OutboxRow), [](const void* a, const void* b) {
      const int64 left = static_cast<const OutboxRow*>(a)->message_id;
      const int64 right = static_cast<const OutboxRow*>(b)->message_id;
      return left < right ? -1 : left > right ? 1 : 0;
    });
  }
  return {search.rows, static_cast<std::size_t>(Min(search.count, max_rows))};
}

}  // namespace sealcast

SEALCAST_FUNCTION(sealcast_shard_of) { PG_RETURN_INT32(sealcast::shard_of(*PG_GETARG_UUID_P(0))); }
