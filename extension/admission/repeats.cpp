// Answers the items whose key (sender_id, txn_id) was used before. A repeat of the same message gets the envelope of
// its original, or the outcome of a held one. Any other message gets 409.
#include "admission/batch.h"
#include "server/datum.h"
#include "server/spi_plan.h"

extern "C" {
#include "utils/array.h"
}

namespace sealcast::admission {
namespace {

server::SpiPlan plan{
    "select item, sent_hash, t, stream_id, envelope, held, reason from sealcast_internal.originals($1, $2)",
    {UUIDARRAYOID, UUIDARRAYOID}};
enum { kItem, kSentHash, kType, kStream, kEnvelope, kHeldOutcome, kReason };

// The verdict of a repeat of a message that is not sealed. `outcome`: waiting, denied or expired.
Verdict of_held(std::string_view outcome, const char* reason) {
  if (outcome == "waiting") {
    Verdict verdict = held();
    verdict.replayed = true;
    return verdict;
  }
  if (outcome == "denied") {
    return {.status = 403,
            .code = "held_denied",
            .message = "a moderator has denied this message",
            .details = reason,
            .hint = "Send another message."};
  }
  return {.status = 403,
          .code = "held_expired",
          .message = "this message waited for a moderator, and nobody has decided in time",
          .hint = "Send the message again with a new txn_id."};
}

// Returns whether the stored message in `row` is the original of the item: same sent hash, type and stream.
bool is_original(const Item& item, const server::SpiRows& rows, int row) {
  const std::optional<Datum> t = rows.value(row, kType), stream = rows.value(row, kStream);
  // If these columns are null, retention has dropped the message but has kept its key, so there is no envelope to
  // return.
  if (!t || !stream) return false;
  return server::view(item.sent_hash) == server::view(DatumGetPointer(*rows.value(row, kSentHash))) &&
         item.t != nullptr && server::view(item.t) == server::view(DatumGetPointer(*t)) && item.stream_id != nullptr &&
         std::memcmp(item.stream_id, DatumGetUUIDP(*stream), UUID_LEN) == 0;
}

}  // namespace

void answer_repeats(Items items) {
  const auto candidates = static_cast<Item**>(palloc(items.size() * sizeof(Item*)));
  const auto senders = static_cast<Datum*>(palloc(items.size() * sizeof(Datum)));
  const auto txns = static_cast<Datum*>(palloc(items.size() * sizeof(Datum)));
  int count = 0;
  for (Item& item : items) {
    // Skip an admissible item that already has a verdict: it was stored, or its admit hook refused it.
    if (!item.has_key() || (item.admissible && item.verdict.status != 0)) continue;
    candidates[count] = &item;
    senders[count] = UUIDPGetDatum(item.sender_id);
    txns[count] = UUIDPGetDatum(item.txn_id);
    ++count;
  }
  if (count == 0) return;

  const auto uuids = [count](Datum* ids) {
    return PointerGetDatum(construct_array(ids, count, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR));
  };
  const Datum arguments[] = {uuids(senders), uuids(txns)};
  server::SpiRows rows = plan.execute(arguments);
  for (int row = 0; row < rows.count(); ++row) {
    Item& item = *candidates[DatumGetInt32(*rows.value(row, kItem)) - 1];
    if (const char* const outcome = rows.c_string(row, kHeldOutcome);
        outcome != nullptr && is_original(item, rows, row)) {
      item.verdict = of_held(outcome, rows.c_string(row, kReason));
    } else if (is_original(item, rows, row)) {
      item.verdict = {.status = 200, .replayed = true, .envelope = rows.text_copy(row, kEnvelope)};
    } else {
      item.verdict = {.status = 409,
                      .code = "txn_id_reused",
                      .message = "this txn_id was used for another message",
                      .hint = "Choose a new UUID for each message."};
    }
  }
  rows.finish();
}

}  // namespace sealcast::admission
