// Reads the rows of `messages` and makes envelopes of them.
#include "relay/stored_messages.h"

#include "core/digest.h"
#include "core/envelope.h"
#include "sealing/sealing.h"
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

const text* StoredMessages::d() {
  const std::optional<Datum> payload = rows_.optional(d_);
  return payload ? DatumGetTextPP(*payload) : nullptr;
}

// Calls `append(fields, kid, sig, buffer)`, which appends the envelope of the current message.
template <class Append>
const varlena* StoredMessages::make_envelope(const pg_uuid_t& stream_id, Append append) {
  const server::UuidText stream(stream_id), sender(sender_id()), txn(*DatumGetUUIDP(rows_.value(txn_id_)));
  const text* const type = t();
  const text* const key = DatumGetTextPP(rows_.value(kid_));
  const std::string_view signature = server::view(DatumGetByteaPP(rows_.value(sig_)));
  varlena* result = nullptr;
  server::guarded([&](core::CancelFlag) {
    server::Scratch buffer;
    append(core::Fields{server::view(type), stream.view(), sender.view(), txn.view(), ts_}, server::view(key),
           signature, *buffer);
    result = server::new_varlena(*buffer);
  });
  return result;
}

StoredMessages::Envelope StoredMessages::envelope(const pg_uuid_t& stream_id) {
  const text* const payload = d();
  if (payload == nullptr) return redacted_envelope(stream_id);
  return {make_envelope(stream_id,
                        [&](const core::Fields& fields, std::string_view kid, std::string_view sig, std::string& out) {
                          core::append_envelope(fields, kid, server::view(payload), sig, out);
                        }),
          nullptr};
}

// Redactions are rare, so the table is opened for each one.
StoredMessages::Envelope StoredMessages::redacted_envelope(const pg_uuid_t& stream_id) {
  server::IndexLookup redactions = server::IndexLookup::open("redactions");
  const Datum key[] = {Int64GetDatum(ts_), rows_.value(message_id_)};
  redactions.find(key);
  Envelope envelope{};
  if (redactions.next()) {
    const std::optional<Datum> by = redactions.optional(redactions.column("redacted_by"));
    const std::optional<Datum> reason = redactions.optional(redactions.column("reason"));
    const text* const why = reason ? DatumGetTextPP(*reason) : nullptr;
    envelope.redacted = sealing::redaction_text(by ? DatumGetUUIDP(*by) : nullptr,
                                                DatumGetInt64(redactions.value(redactions.column("redacted_at"))), why);
    const std::string_view hash = server::view(DatumGetByteaPP(redactions.value(redactions.column("payload_hash"))));
    envelope.text = make_envelope(
        stream_id, [&](const core::Fields& fields, std::string_view kid, std::string_view sig, std::string& out) {
          server::Scratch digits;
          core::append_hex(hash, *digits);
          core::append_redacted_envelope(fields, kid, *digits, sig, out);
        });
  }
  redactions.close();
  return envelope;
}

}  // namespace sealcast::relay
