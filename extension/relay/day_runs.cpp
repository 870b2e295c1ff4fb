// Reads the runs of a stream in one partition of stream_runs, by its index on (stream_id, offset).
#include "relay/day_runs.h"

#include "server/catalog.h"

extern "C" {
#include "access/table.h"
}

namespace sealcast::relay {

void DayRuns::open() {
  static constexpr const char* kKey[] = {"stream_id", "offset"};
  opened_ = true;
  rows_ = server::IndexLookup::open_partition(partition_, kKey);
  if (!rows_) return;
  offset_ = rows_->column("offset");
  messages_ = rows_->column("messages");
  logged_at_ = rows_->column("logged_at");
  ts_ = rows_->column("ts");
  first_id_ = rows_->column("first_id");
  public_before_ = rows_->column("public_before");
  public_bits_ = rows_->column("public_bits");
}

void DayRuns::find(const pg_uuid_t& stream_id) {
  if (!opened_) open();
  const Datum key[] = {UUIDPGetDatum(&stream_id)};
  if (rows_) rows_->find(key);
}

void DayRuns::find(const pg_uuid_t& stream_id, StrategyNumber compare, int64 bound) {
  if (!opened_) open();
  const server::Condition conditions[] = {{0, BTEqualStrategyNumber, UUIDPGetDatum(&stream_id)},
                                          {1, compare, Int64GetDatum(bound)}};
  if (rows_) rows_->find(conditions);
}

LoggedRun DayRuns::current() {
  const int64 offset = DatumGetInt64(rows_->value(offset_));
  return {offset,
          DatumGetInt32(rows_->value(messages_)),
          DatumGetInt64(rows_->value(logged_at_)),
          DatumGetInt64(rows_->value(ts_)),
          DatumGetInt64(rows_->value(first_id_)),
          PublicMessages::of(offset, rows_->optional(public_before_), rows_->optional(public_bits_))};
}

void DayRuns::close() {
  if (rows_) rows_->close();
  rows_.reset();
  opened_ = false;
}

void DayRuns::close_and_unlock() {
  if (rows_) rows_->close_and_unlock();
  rows_.reset();
  opened_ = false;
}

RunLog RunLog::open() {
  RunLog log;
  log.table = table_open(server::table_id("stream_runs"), AccessShareLock);
  const server::Partitions partitions = server::partitions_of(log.table);
  const std::size_t bounded = partitions.bounded.size();
  const std::size_t count = bounded + (OidIsValid(partitions.rest) ? 1 : 0);
  auto* const days = static_cast<DayRuns*>(palloc(Max(count, 1) * sizeof(DayRuns)));
  for (std::size_t i = 0; i < count; ++i) new (&days[i]) DayRuns(i < bounded ? partitions.bounded[i] : partitions.rest);
  log.days = {days, bounded};
  log.rest = {days + bounded, count - bounded};
  return log;
}

void RunLog::close() {
  for (DayRuns& day : days) day.close();
  for (DayRuns& day : rest) day.close();
  table_close(table, NoLock);
}

}  // namespace sealcast::relay
