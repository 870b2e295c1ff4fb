// Finds the runs of a drain window in the three segments of the outbox.
#include "relay/outbox.h"

#include "server/catalog.h"
#include "server/index_lookup.h"

extern "C" {
#include "utils/xid8.h"
}

namespace sealcast::relay {

namespace {

constexpr int kSegments = 3;

Datum xid_datum(uint64 xid) { return FullTransactionIdGetDatum(FullTransactionIdFromU64(xid)); }

// The state of one search for runs: the window, the shards that are searched, and the runs that were found so far.
struct Search {
  const Window& window;
  XidSnapshot seen;
  XidSnapshot target;
  uint32 shards;  // one bit per shard
  int max_messages;
  Run* runs = nullptr;
  std::size_t count = 0;
  std::size_t capacity = 0;

  void add(const Run& run) {
    if (count == capacity) {
      capacity = Max(64, capacity * 2);
      const Size bytes = capacity * sizeof(Run);
      runs = static_cast<Run*>(runs == nullptr ? palloc(bytes) : repalloc_huge(runs, bytes));
    }
    runs[count++] = run;
  }
};

// One of the three tables of the outbox, read by its index on (xid, first_id) or by its index on (shard, first_id).
struct Segment {
  server::IndexLookup rows;
  int xid, first_id, messages, ts, stream_id, shard;

  static Segment open(int number, const char* index) {
    Segment segment{
        server::IndexLookup::open(psprintf("outbox_%d", number), psprintf("outbox_%d_%s_idx", number, index)),
        0,
        0,
        0,
        0,
        0,
        0};
    segment.xid = segment.rows.column("xid");
    segment.first_id = segment.rows.column("first_id");
    segment.messages = segment.rows.column("messages");
    segment.ts = segment.rows.column("ts");
    segment.stream_id = segment.rows.column("stream_id");
    segment.shard = segment.rows.column("shard");
    return segment;
  }

  uint64 row_xid() { return U64FromFullTransactionId(DatumGetFullTransactionId(rows.value(xid))); }

  // Adds the run of the current row to search.runs, if its shard is one of search.shards. Returns the number of
  // messages in the added run, or 0.
  int add_row(Search& search) {
    const int row_shard = DatumGetInt16(rows.value(shard));
    if ((search.shards >> row_shard & 1) == 0) return 0;
    const int count = DatumGetInt32(rows.value(messages));
    search.add({DatumGetInt64(rows.value(first_id)), count, DatumGetInt64(rows.value(ts)),
                *DatumGetUUIDP(rows.value(stream_id)), row_shard, 0});
    return count;
  }
};

// Adds the runs of one transaction that are not relayed yet, if it has ended before `target` was taken. Stops at
// max_messages.
void search_transaction(Segment& by_xid, uint64 xid, Search& search) {
  if (!search.target.has_ended(xid)) return;
  const server::Condition conditions[] = {{0, BTEqualStrategyNumber, xid_datum(xid)},
                                          {1, BTGreaterStrategyNumber, Int64GetDatum(search.window.after_id)}};
  by_xid.rows.find(conditions);
  for (int left = search.max_messages; left > 0 && by_xid.rows.next();) left -= by_xid.add_row(search);
}

// Adds the runs of the transactions that were running when the snapshot `seen` was taken, and of the transactions that
// began later, up to window.seen.xid. Both are few, so each transaction is looked up by its xid.
void search_running(int number, Search& search) {
  const Window& window = search.window;
  Segment by_xid = Segment::open(number, "xid_first_id");
  for (const uint64 xid : search.seen.running) search_transaction(by_xid, xid, search);
  for (uint64 from = search.seen.xmax; from <= window.seen.xid;) {
    const server::Condition conditions[] = {{0, BTGreaterEqualStrategyNumber, xid_datum(from)},
                                            {0, BTLessEqualStrategyNumber, xid_datum(window.seen.xid)}};
    by_xid.rows.find(conditions);
    if (!by_xid.rows.next()) break;
    const uint64 xid = by_xid.row_xid();
    search_transaction(by_xid, xid, search);
    from = xid + 1;
  }
  by_xid.rows.close();
}

// The index range of one shard by message_id, at a row of the window.
struct Range {
  Segment segment;
  int64 first_id;

  // Moves to the next row of a transaction after window.seen.xid that has ended before `target` was taken. Returns
  // false, and closes the range, if there is none.
  bool next(const Search& search) {
    while (segment.rows.next()) {
      const uint64 xid = segment.row_xid();
      if (xid < search.seen.xmax || xid <= search.window.seen.xid || !search.target.has_ended(xid)) continue;
      first_id = DatumGetInt64(segment.rows.value(segment.first_id));
      return true;
    }
    segment.rows.close();
    return false;
  }
};

// Adds the runs of the transactions after window.seen.xid. All their message_ids are beyond window.seen.id, so one
// index range by id finds them in each shard. The ranges are merged, so that none is read further than needed.
void search_later(int number, Search& search) {
  const Window& window = search.window;
  auto* const ranges = static_cast<Range*>(palloc(core::kShards * sizeof(Range)));
  std::size_t count = 0;
  for (int shard = 0; shard < core::kShards; ++shard) {
    if ((search.shards >> shard & 1) == 0) continue;
    Range& range = *new (&ranges[count]) Range{Segment::open(number, "shard_first_id"), 0};
    const server::Condition conditions[] = {
        {0, BTEqualStrategyNumber, Int16GetDatum(static_cast<int16>(shard))},
        {1, BTGreaterStrategyNumber, Int64GetDatum(Max(window.seen.id, window.after_id))}};
    range.segment.rows.find(conditions);
    if (range.next(search)) ++count;
  }
  for (int left = search.max_messages; left > 0 && count > 0;) {
    Range& first = *std::min_element(ranges, ranges + count,
                                     [](const Range& a, const Range& b) { return a.first_id < b.first_id; });
    left -= first.segment.add_row(search);
    if (!first.next(search)) first = ranges[--count];
  }
  while (count > 0) ranges[--count].segment.rows.close();
}

}  // namespace

Datum Run::public_bytes() const {
  const int size = (messages + 7) / 8;
  auto* const bytes = static_cast<bytea*>(palloc(VARHDRSZ + size));
  SET_VARSIZE(bytes, VARHDRSZ + size);
  std::memcpy(VARDATA(bytes), public_bits, static_cast<std::size_t>(size));
  return PointerGetDatum(bytes);
}

int16 outbox_segment() { return static_cast<int16>(server::last_value("outbox_segment").value_or(0)); }

std::span<Run> next_runs(const Window& window, uint32 shards, int max_messages, bool& complete) {
  Search search{window, parse_snapshot(window.seen.snapshot), parse_snapshot(window.target.snapshot), shards,
                max_messages};
  for (int number = 0; number < kSegments; ++number) {
    search_running(number, search);
    search_later(number, search);
  }
  if (search.count > 1) {
    qsort(search.runs, search.count, sizeof(Run), [](const void* a, const void* b) {
      const int64 left = static_cast<const Run*>(a)->first_id;
      const int64 right = static_cast<const Run*>(b)->first_id;
      return left < right ? -1 : left > right ? 1 : 0;
    });
  }
  std::size_t selected = 0;
  for (int messages = 0; selected < search.count && messages < max_messages; ++selected) {
    messages += search.runs[selected].messages;
    complete = messages < max_messages;
  }
  return {search.runs, selected};
}

SEALCAST_FUNCTION(sealcast_shard_of) { PG_RETURN_INT32(shard_of(*PG_GETARG_UUID_P(0))); }

}  // namespace sealcast::relay
