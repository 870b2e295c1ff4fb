// Reads stored messages by the primary key (ts, message_id) of `messages`.
#pragma once

#include "server/index_lookup.h"

namespace sealcast::relay {

// Keeps one day partition open at a time, and reads it with the active snapshot. Trivially destructible, because after
// an error no destructor runs.
class StoredMessages {
 public:
  static StoredMessages open();
  void close();

  // Starts at the messages with this ts and the ids `first_id` to `end_id` - 1.
  void find(int64 ts, int64 first_id, int64 end_id, ScanDirection direction = ForwardScanDirection);
  // Returns whether the message exists, and makes it the current one. After find() the ids must be asked for in the
  // direction of the scan. A message whose partition or row is gone does not exist.
  bool exists(int64 message_id);

  // The current message. Values are valid until the next exists() or find(). `d` and the others may be detoasted into
  // the current memory context. `d` is null when the message is redacted.
  const pg_uuid_t& sender_id() { return *DatumGetUUIDP(rows_.value(sender_id_)); }
  const text* t() { return DatumGetTextPP(rows_.value(t_)); }
  const text* d();
  // The envelope of a message. `redacted` is the member of its frame; null: the message is not redacted.
  struct Envelope {
    const varlena* text;
    const varlena* redacted;
  };
  // Returns the envelope of the current message, which is of this stream. Its text is null when the message is redacted
  // and the row of its redaction is missing: then nothing but its offset is known, as if it were gone.
  Envelope envelope(const pg_uuid_t& stream_id);

 private:
  Envelope redacted_envelope(const pg_uuid_t& stream_id);
  template <class Append>
  const varlena* make_envelope(const pg_uuid_t& stream_id, Append append);
  void open_partition(int64 ts);
  void close_partition();
  bool move() { return ScanDirectionIsForward(direction_) ? rows_.next() : rows_.last(); }

  Relation parent_;
  Oid partition_ = InvalidOid;
  bool has_rows_ = false;  // whether `rows_` is open
  server::IndexLookup rows_{};
  int64 ts_ = 0;
  ScanDirection direction_ = ForwardScanDirection;
  bool has_row_ = false;  // whether the scan is at a row
  int message_id_ = 0, sender_id_ = 0, txn_id_ = 0, t_ = 0, kid_ = 0, sig_ = 0, d_ = 0;
};

}  // namespace sealcast::relay
