// The SQL function has_unrelayed(segment): whether a segment of the outbox has a row that is not relayed.
#include "server/pg.h"

extern "C" {
#include "executor/spi.h"
#include "utils/snapmgr.h"
}

namespace sealcast::relay {
namespace {

// A row is invisible in a snapshot if its xid is not below xmax or is in the list xip. These are two index ranges.
constexpr char kUnrelayed[] =
    "select from sealcast_internal.relay_leases l cross join lateral sealcast_internal.relay_position(l.shard) p"
    " where exists (select from sealcast_internal.outbox_%1$d o where o.xid >= pg_snapshot_xmax(p.seen) and o.shard = "
    "l.shard)"
    " or exists (select from sealcast_internal.outbox_%1$d o"
    "            where o.xid = any (array(select pg_snapshot_xip(p.seen))) and o.shard = l.shard)"
    " limit 1";

constexpr int kSegments = 3;
SPIPlanPtr plans[kSegments] = {};

}  // namespace

SEALCAST_FUNCTION(sealcast_has_unrelayed) {
  const int segment = PG_GETARG_INT32(0);
  if (segment < 0 || segment >= kSegments) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the outbox has no segment %d", segment)));
  }
  SPI_connect();
  SPIPlanPtr& plan = plans[segment];
  if (plan == nullptr) {
    SPIPlanPtr const prepared = SPI_prepare(psprintf(kUnrelayed, segment), 0, nullptr);
    if (prepared == nullptr) elog(ERROR, "could not prepare: %s", SPI_result_code_string(SPI_result));
    SPI_keepplan(prepared);
    plan = prepared;
  }
  // Not the snapshot of the transaction: above READ COMMITTED it is older than the caller's lock, and misses commits.
  const int result = SPI_execute_snapshot(plan, nullptr, nullptr, GetLatestSnapshot(), InvalidSnapshot, true, false, 1);
  if (result != SPI_OK_SELECT) elog(ERROR, "could not execute: %s", SPI_result_code_string(result));
  const bool found = SPI_processed > 0;
  SPI_finish();
  PG_RETURN_BOOL(found);
}

}  // namespace sealcast::relay
