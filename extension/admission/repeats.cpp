// Repeats: the same message again is answered by the original, another one under its key is refused.
#include "admission/batch.h"
#include "server/datum.h"
#include "server/spi_plan.h"

extern "C" {
#include "utils/array.h"
}

namespace sealcast::admission {
namespace {

server::SpiPlan plan{"select item, sent_hash, t, stream_id, envelope from sealcast.originals($1, $2)",
                     {UUIDARRAYOID, UUIDARRAYOID}};
enum { kItem, kSentHash, kType, kStream, kEnvelope };

bool is_original(const Item& item, const server::SpiRows& rows, int row) {
  const std::optional<Datum> t = rows.value(row, kType), stream = rows.value(row, kStream);
  // Null: retention has dropped it, and only its key is left.
  if (!t || !stream) return false;
  return server::view(item.sent_hash) == server::view(DatumGetPointer(*rows.value(row, kSentHash))) &&
         item.t != nullptr && server::view(item.t) == server::view(DatumGetPointer(*t)) && item.stream_id != nullptr &&
         std::memcmp(item.stream_id, DatumGetUUIDP(*stream), UUID_LEN) == 0;
}

}  // namespace

void answer_repeats(Items items) {
  const auto asked = static_cast<Item**>(palloc(items.size() * sizeof(Item*)));
  const auto senders = static_cast<Datum*>(palloc(items.size() * sizeof(Datum)));
  const auto txns = static_cast<Datum*>(palloc(items.size() * sizeof(Datum)));
  int count = 0;
  for (Item& item : items) {
    // What was admissible and has its answer has claimed its key itself, or its hook has spoken.
    if (!item.has_key() || (item.admissible && item.answer.status != 0)) continue;
    asked[count] = &item;
    senders[count] = UUIDPGetDatum(item.sender_id);
    txns[count] = UUIDPGetDatum(item.txn_id);
    ++count;
  }
  if (count == 0) return;

  const auto uuids = [count](Datum* ids) {
    return PointerGetDatum(construct_array(ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
  };
  const Datum arguments[] = {uuids(senders), uuids(txns)};
  server::SpiRows rows = plan.run(arguments);
  for (int row = 0; row < rows.count(); ++row) {
    Item& item = *asked[DatumGetInt32(*rows.value(row, kItem)) - 1];
    if (is_original(item, rows, row)) {
      item.answer = {.status = 200, .replayed = true, .envelope = rows.text_copy(row, kEnvelope)};
    } else {
      item.answer = {.status = 409,
                     .code = "txn_id_reused",
                     .message = "this txn_id was used for another message",
                     .hint = "Choose a new UUID for each message."};
    }
  }
  rows.finish();
}

}  // namespace sealcast::admission
