// Admits the items whose type has an admit hook, one by one, by the SQL function admit_hooked(). If the hook refuses an
// item, all changes for this item are rolled back.
#include "admission/batch.h"
#include "admission/txn_keys.h"
#include "relay/message_ids.h"
#include "relay/wake.h"
#include "server/spi_plan.h"

namespace sealcast::admission {
namespace {

server::SpiPlan plan{
    "select status, code, message, hint, envelope from sealcast.admit_hooked($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    {INT4OID, REGPROCEDUREOID, UUIDOID, TEXTOID, UUIDOID, UUIDOID, TEXTOID, BYTEAOID, INT8OID}};
enum { kStatus, kCode, kMessage, kHint, kEnvelope };

void admit_hooked(Item& item) {
  const Datum arguments[] = {
      Int32GetDatum(item.number),      ObjectIdGetDatum(item.type->admit_hook), UUIDPGetDatum(item.stream_id),
      PointerGetDatum(item.t),         UUIDPGetDatum(item.sender_id),           UUIDPGetDatum(item.txn_id),
      PointerGetDatum(item.canonical), PointerGetDatum(item.sent_hash),         Int64GetDatum(item.message_id)};
  server::SpiRows rows = plan.execute(arguments);
  // admit_hooked() returns null if the item's key existed before. answer_repeats() then sets the verdict.
  if (const std::optional<Datum> status = rows.value(0, kStatus)) {
    item.verdict = {.status = DatumGetInt32(*status),
                    .code = rows.c_string(0, kCode),
                    .message = rows.c_string(0, kMessage),
                    .hint = rows.c_string(0, kHint),
                    .envelope = rows.text_copy(0, kEnvelope)};
    if (item.verdict.status == 200) relay::wake::request();
  }
  rows.finish();
}

}  // namespace

void admit_hooked(Items items) {
  int count = 0;
  const auto hooked = static_cast<Item**>(palloc(items.size() * sizeof(Item*)));
  for (Item& item : items) {
    if (item.admissible && OidIsValid(item.type->admit_hook)) hooked[count++] = &item;
  }
  if (count == 0) return;
  sort_by_key(hooked, count);
  for (int i = 0; i < count; ++i) {
    hooked[i]->message_id = relay::next_id_block();
    admit_hooked(*hooked[i]);
  }
}

}  // namespace sealcast::admission
