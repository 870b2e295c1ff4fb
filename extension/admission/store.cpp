// Seals messages, and inserts them into messages and outbox.
#include "admission/store.h"

#include "core/envelope.h"
#include "relay/outbox.h"
#include "relay/wake.h"
#include "server/bulk_insert.h"
#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "access/xact.h"
#include "utils/xid8.h"
}

namespace sealcast::admission {

namespace {

void seal(const Inserted& inserted, const core::Key& key, int64 ts) {
  for (int i = 0; i < inserted.count; ++i) {
    Item& item = *inserted.items[i];
    const server::UuidText stream_id(*item.stream_id), sender_id(*item.sender_id), txn_id(*item.txn_id);
    server::guarded([&](core::CancelFlag) {
      server::Scratch signing, envelope;
      const core::Fields fields{server::view(item.t), stream_id.view(), sender_id.view(), txn_id.view(), ts};
      const core::Signature sig = core::sign_payload(fields, server::view(item.canonical), key, *signing);
      core::append_envelope(fields, key.kid, server::view(item.canonical), sig.bytes(), *envelope);
      item.sig = server::new_varlena(sig.bytes());
      item.verdict.envelope = server::new_varlena(*envelope);
    });
    item.verdict.status = 200;
  }
}

void insert_messages(const Inserted& inserted, const core::Key& key, int64 ts) {
  const text* const kid = cstring_to_text_with_len(key.kid.data(), static_cast<int>(key.kid.size()));
  static constexpr const char* kMessage[] = {"ts", "message_id", "stream_id", "sender_id", "txn_id",
                                             "t",  "kid",        "sig",       "d"};
  server::bulk_insert("messages", kMessage, inserted.count, [&](int i, Datum* values, bool*) {
    const Item& item = *inserted.items[i];
    values[0] = Int64GetDatum(ts);
    values[1] = Int64GetDatum(item.message_id);
    values[2] = UUIDPGetDatum(item.stream_id);
    values[3] = UUIDPGetDatum(item.sender_id);
    values[4] = UUIDPGetDatum(item.txn_id);
    values[5] = PointerGetDatum(item.t);
    values[6] = PointerGetDatum(kid);
    values[7] = PointerGetDatum(item.sig);
    values[8] = PointerGetDatum(item.canonical);
  });
}

void insert_outbox(const Inserted& inserted, int64 ts) {
  const FullTransactionId xid = GetTopFullTransactionId();
  const int16 segment = relay::outbox_segment();
  auto* const runs = static_cast<relay::Run*>(palloc(static_cast<std::size_t>(inserted.count) * sizeof(relay::Run)));
  int count = 0;
  for (int i = 0; i < inserted.count; ++i) {
    const Item& item = *inserted.items[i];
    if (count > 0 && runs[count - 1].continues_with(item.message_id, *item.stream_id)) {
      ++runs[count - 1].messages;
    } else {
      runs[count++] = {item.message_id, 1, ts, *item.stream_id, relay::shard_of(*item.stream_id), 0};
    }
  }
  static constexpr const char* kRow[] = {"xid", "first_id", "messages", "ts", "stream_id", "shard", "segment"};
  server::bulk_insert("outbox", kRow, count, [&](int i, Datum* values, bool*) {
    const relay::Run& run = runs[i];
    values[0] = FullTransactionIdGetDatum(xid);
    values[1] = Int64GetDatum(run.first_id);
    values[2] = Int32GetDatum(run.messages);
    values[3] = Int64GetDatum(run.ts);
    values[4] = UUIDPGetDatum(&run.stream_id);
    values[5] = Int16GetDatum(static_cast<int16>(run.shard));
    values[6] = Int16GetDatum(segment);
  });
}

}  // namespace

void store(const Inserted& inserted, const core::Key& key, int64 ts) {
  if (inserted.count == 0) return;
  seal(inserted, key, ts);
  insert_messages(inserted, key, ts);
  insert_outbox(inserted, ts);
  relay::wake::request();
}

}  // namespace sealcast::admission
