// Reads the rows of `messages` and makes envelopes of them.
#include "relay/stored_messages.h"

#include "core/envelope.h"
#include "server/catalog.h"
#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "access/table.h"
}

namespace sealcast::relay {

StoredMessages StoredMessages::open() {
  StoredMessages messages;
  messages.parent_ = table_open(server::table_id("messages"), AccessShareLock);
  return messages;
}

void StoredMessages::close() {
  close_partition();
  table_close(parent_, NoLock);
}

// Opens the partition of this time. If retention has dropped it or it is empty, has_rows_ is false.
void StoredMessages::open_partition(int64 ts) {
  const Oid next = server::partition_for(parent_, Int64GetDatum(ts));
  if (next == partition_) return;
  close_partition();
  partition_ = next;
  if (!OidIsValid(next)) return;
  static constexpr const char* kKey[] = {"ts", "message_id"};
  const std::optional<server::IndexLookup> opened = server::IndexLookup::open_partition(next, kKey);
  has_rows_ = opened.has_value();
  if (!has_rows_) return;
  rows_ = *opened;
  message_id_ = rows_.column("message_id");
  sender_id_ = rows_.column("sender_id");
  txn_id_ = rows_.column("txn_id");
  t_ = rows_.column("t");
  kid_ = rows_.column("kid");
  sig_ = rows_.column("sig");
  d_ = rows_.column("d");
}

void StoredMessages::close_partition() {
  if (has_rows_) rows_.close();
  has_rows_ = false;
  partition_ = InvalidOid;
}

void StoredMessages::find(int64 ts, int64 first_id, int64 end_id, ScanDirection direction) {
  ts_ = ts;
  direction_ = direction;
  open_partition(ts);
  has_row_ = has_rows_;
  if (!has_row_) return;
  const server::Condition conditions[] = {{0, BTEqualStrategyNumber, Int64GetDatum(ts)},
                                          {1, BTGreaterEqualStrategyNumber, Int64GetDatum(first_id)},
                                          {1, BTLessStrategyNumber, Int64GetDatum(end_id)}};
  rows_.find(conditions);
  has_row_ = move();
}

bool StoredMessages::exists(int64 message_id) {
  while (has_row_) {
    const int64 id = DatumGetInt64(rows_.value(message_id_));
    if (id == message_id) return true;
    if (ScanDirectionIsForward(direction_) ? id > message_id : id < message_id) return false;
    has_row_ = move();
  }
  return false;
}

const varlena* StoredMessages::envelope(const pg_uuid_t& stream_id) {
  const server::UuidText stream(stream_id), sender(sender_id()), txn(*DatumGetUUIDP(rows_.value(txn_id_)));
  const text* const type = t();
  const text* const key = DatumGetTextPP(rows_.value(kid_));
  const text* const payload = d();
  const std::string_view signature = server::view(DatumGetByteaPP(rows_.value(sig_)));
  varlena* result = nullptr;
  server::guarded([&](core::CancelFlag) {
    server::Scratch buffer;
    core::append_envelope({server::view(type), stream.view(), sender.view(), txn.view(), ts_}, server::view(key),
                          server::view(payload), signature, *buffer);
    result = server::new_varlena(*buffer);
  });
  return result;
}

}  // namespace sealcast::relay
