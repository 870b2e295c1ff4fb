// Opens the envelope of an event: verifies it, and makes the value that handlers get.
#include "core/message_type.h"
#include "core/uuid.h"
#include "sealing/sealing.h"
#include "server/datum.h"

extern "C" {
#include "access/htup_details.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"
}

namespace sealcast::events {

namespace {

// A UUID as a C string.
using Id = char[core::kNilUuid.size() + 1];

struct Message {
  varlena* t;
  Id stream_id;
  Id sender_id;
  Id txn_id;
  int64 ts;
  varlena* d;  // null: the message is redacted
};

// Copies a UUID in lower case. Returns false for any other id: the envelope was sealed for a row of a user's table.
bool copy_id(std::string_view sealed, Id& id) {
  std::string lower;
  if (!core::normalize_uuid(sealed, lower) || lower != sealed) return false;
  std::memcpy(id, lower.c_str(), sizeof id);
  return true;
}

bool copy_message(const core::OpenedEnvelope& opened, Message& message) {
  if (!opened.as_sealed || !core::is_message_type(opened.t) || !copy_id(opened.stream_id, message.stream_id) ||
      !copy_id(opened.sender_id, message.sender_id) || !copy_id(opened.txn_id, message.txn_id)) {
    return false;
  }
  message.t = server::new_varlena(opened.t);
  message.d = opened.payload_hash.empty() ? server::new_varlena(opened.canonical_d) : nullptr;
  return true;
}

Datum uuid_of(const Id& id) { return DirectFunctionCall1(uuid_in, CStringGetDatum(id)); }

// Returns a value of the type sealcast.event.
Datum make_event(const Message& message, NullableDatum offset, const text* envelope, Oid event) {
  const TupleDesc type = lookup_rowtype_tupdesc(event, -1);
  Datum values[] = {PointerGetDatum(message.t), uuid_of(message.stream_id), uuid_of(message.sender_id),
                    uuid_of(message.txn_id),    Int64GetDatum(message.ts),  offset.value,
                    PointerGetDatum(message.d), PointerGetDatum(envelope)};
  bool nulls[lengthof(values)] = {};
  nulls[5] = offset.isnull;
  nulls[6] = message.d == nullptr;
  const Datum made = HeapTupleGetDatum(heap_form_tuple(type, values, nulls));
  ReleaseTupleDesc(type);
  return made;
}

}  // namespace

// The problem is malformed, unknown_kid, bad_signature, from_future or "signed, but not a message"; null: none.
SEALCAST_FUNCTION(sealcast_open_envelope) {
  enum { kEvent, kProblem };
  const text* const envelope = PG_ARGISNULL(0) ? cstring_to_text("") : PG_GETARG_TEXT_PP(0);
  Message message;
  bool is_message = false;
  core::VerifyResult result = sealing::with_keyring([&](const core::Keyring& keyring, core::CancelFlag cancel) {
    const std::optional<core::OpenedEnvelope> opened = sealing::open_envelope(server::view(envelope), keyring, cancel);
    if (!opened) return core::VerifyResult::malformed;
    message.ts = opened->ts;
    is_message = copy_message(*opened, message);
    return opened->result;
  });
  if (result == core::VerifyResult::ok && core::is_from_future(message.ts, sealing::unix_ms(GetCurrentTimestamp()))) {
    result = core::VerifyResult::from_future;
  }
  const TupleDesc type = server::record_type(fcinfo);
  Datum values[2] = {};
  bool nulls[2] = {true, true};
  if (result == core::VerifyResult::ok && is_message) {
    values[kEvent] = make_event(message, fcinfo->args[1], envelope, TupleDescAttr(type, kEvent)->atttypid);
    nulls[kEvent] = false;
  } else {
    const std::string_view problem =
        result == core::VerifyResult::ok ? "signed, but not a message" : core::to_string(result);
    values[kProblem] = PointerGetDatum(cstring_to_text_with_len(problem.data(), static_cast<int>(problem.size())));
    nulls[kProblem] = false;
  }
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(type, values, nulls)));
}

}  // namespace sealcast::events
