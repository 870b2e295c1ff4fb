// Reads which types are retained, and calls sealcast_internal.retain() once for all retained messages of a drain.
#include "relay/retained.h"

#include "server/datum.h"
#include "server/index_lookup.h"
#include "server/spi_plan.h"

extern "C" {
#include "utils/array.h"
}

namespace sealcast::relay {
namespace {

server::SpiPlan retain{"select sealcast_internal.retain($1, $2, $3, $4, $5)",
                       {UUIDARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID}};

}  // namespace

Retained Retained::open() {
  Retained retained;
  retained.memory_ = CurrentMemoryContext;
  server::IndexLookup types = server::IndexLookup::open("message_types", "message_types_retained");
  const int t = types.column("t");
  types.find(std::span<const Datum>());
  while (types.next()) retained.types_ = lappend(retained.types_, DatumGetTextPCopy(types.value(t)));
  types.close();
  return retained;
}

bool Retained::includes(const text* t) const {
  const ListCell* cell;
  foreach (cell, types_) {
    if (server::view(static_cast<const text*>(lfirst(cell))) == server::view(t)) return true;
  }
  return false;
}

void Retained::add(const Run& run, int i, int64 public_prev) {
  MemoryContext const before = MemoryContextSwitchTo(memory_);
  auto* const message = static_cast<Message*>(palloc(sizeof(Message)));
  *message = {run.stream_id, run.offset + i, public_prev, run.ts, run.first_id + i};
  messages_ = lappend(messages_, message);
  MemoryContextSwitchTo(before);
}

void Retained::save() const {
  const int count = list_length(messages_);
  if (count == 0) return;
  auto* const streams = static_cast<Datum*>(palloc(static_cast<Size>(count) * sizeof(Datum)));
  Datum* numbers[4];
  for (Datum*& column : numbers) column = static_cast<Datum*>(palloc(static_cast<Size>(count) * sizeof(Datum)));
  for (int i = 0; i < count; ++i) {
    auto* const message = static_cast<Message*>(list_nth(messages_, i));
    streams[i] = UUIDPGetDatum(&message->stream_id);
    numbers[0][i] = Int64GetDatum(message->offset);
    numbers[1][i] = Int64GetDatum(message->public_prev);
    numbers[2][i] = Int64GetDatum(message->ts);
    numbers[3][i] = Int64GetDatum(message->message_id);
  }
  const auto bigints = [count](Datum* values) {
    return PointerGetDatum(construct_array(values, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
  };
  const Datum arguments[] = {PointerGetDatum(construct_array(streams, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR)),
                             bigints(numbers[0]), bigints(numbers[1]), bigints(numbers[2]), bigints(numbers[3])};
  retain.execute(arguments).finish();
}

}  // namespace sealcast::relay
