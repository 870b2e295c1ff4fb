// Converts values of the SQL type pg_snapshot from and to their text form xmin:xmax:xip,xip,… The binary layout of this
// type is private to Postgres. (xip is the xid of a transaction that was in progress.)
#include "relay/position.h"

extern "C" {
#include "lib/stringinfo.h"
#include "utils/fmgrprotos.h"
}

namespace sealcast::relay {
namespace {

// Returns the number at `at`, and moves `at` behind the separator that follows.
uint64 read_number(const char*& at) {
  char* end;
  const uint64 number = strtoull(at, &end, 10);
  at = *end == '\0' ? end : end + 1;
  return number;
}

}  // namespace

bool XidSnapshot::has_ended(uint64 xid) const {
  if (xid < xmin) return true;
  return xid < xmax && !std::binary_search(running.begin(), running.end(), xid);
}

XidSnapshot parse_snapshot(const char* text) {
  const char* at = text;
  const auto max_count = static_cast<std::size_t>(std::count(at, at + strlen(at), ',')) + 1;
  auto* const running = static_cast<uint64*>(palloc(max_count * sizeof(uint64)));
  XidSnapshot snapshot;
  snapshot.xmin = read_number(at);
  snapshot.xmax = read_number(at);
  std::size_t count = 0;
  while (*at != '\0') running[count++] = read_number(at);
  snapshot.running = {running, count};
  return snapshot;
}

const char* to_text(const XidSnapshot& snapshot) {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":", snapshot.xmin, snapshot.xmax);
  const char* comma = "";
  for (const uint64 xid : snapshot.running) {
    appendStringInfo(&text, "%s" UINT64_FORMAT, comma, xid);
    comma = ",";
  }
  return text.data;
}

XidSnapshot committed_snapshot(uint64 own_xid) {
  LOCAL_FCINFO(call, 0);
  InitFunctionCallInfoData(*call, nullptr, 0, InvalidOid, nullptr, nullptr);
  XidSnapshot now = parse_snapshot(DatumGetCString(DirectFunctionCall1(pg_snapshot_out, pg_current_snapshot(call))));
  if (own_xid >= now.xmax || std::binary_search(now.running.begin(), now.running.end(), own_xid)) return now;
  const std::size_t count = now.running.size();
  auto* const running = static_cast<uint64*>(palloc((count + 1) * sizeof(uint64)));
  const auto after = std::lower_bound(now.running.begin(), now.running.end(), own_xid);
  uint64* const place = std::copy(now.running.begin(), after, running);
  *place = own_xid;
  std::copy(after, now.running.end(), place + 1);
  return {std::min(now.xmin, own_xid), now.xmax, {running, count + 1}};
}

}  // namespace sealcast::relay
