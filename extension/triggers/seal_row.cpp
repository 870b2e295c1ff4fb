// The trigger seal_row(): when a row is inserted into an application's table, seals a payload and puts the envelope
// into a json or jsonb column. The payload is the old value of that column, or the value of a column of its own.
//
// The sealed type is "row:" and the type of the trigger. The type of a message has no colon, so no envelope of a row
// can be taken for a message. A row that comes with its envelope (it moves to another partition, or it is restored)
// keeps the envelope.
#include "core/canonical_json.h"
#include "core/envelope.h"
#include "core/uuid.h"
#include "sealing/jsonb_walk.h"
#include "sealing/key_store.h"
#include "sealing/sealing.h"
#include "server/datum.h"
#include "server/guard.h"
#include "triggers/row_trigger.h"

namespace sealcast::triggers {

namespace {

enum Argument { kSealed, kType, kStream, kSender, kTxn, kPayload };
constexpr std::string_view kDomain = "row:";

struct Column {
  const char* name;
  const char* table;
};

void describe(void* argument) {
  const auto* const column = static_cast<const Column*>(argument);
  errcontext("sealing column \"%s\" of table \"%s\"", column->name, column->table);
}

// A detoasted json or jsonb value; at most one of the pointers is set.
struct Json {
  const text* json;
  const Jsonb* jsonb;

  bool is_null() const { return json == nullptr && jsonb == nullptr; }
  void canonicalize(std::string& out, core::CancelFlag cancel) const {
    if (jsonb != nullptr) return sealing::canonicalize_jsonb(jsonb, out, core::Rules::payload, cancel);
    core::canonicalize(server::view(json), out, core::Rules::payload, cancel);
  }
};

Json json_of(const RowTrigger& trigger, const char* name) {
  const int column = trigger.column(name);
  bool is_null;
  const Datum value = SPI_getbinval(trigger.row(), trigger.columns(), column, &is_null);
  if (is_null) return {nullptr, nullptr};
  if (trigger.type_of(column) == JSONBOID) return {nullptr, DatumGetJsonbP(value)};
  return {DatumGetTextPP(value), nullptr};
}

struct Ids {
  const char* t;
  const char* stream_id;
  const char* sender_id;
  const char* txn_id;
};

// What the sealed column of a new row holds.
enum class Held { something_else, own_envelope, other_payload, other_row };

bool same_id(std::string_view sealed, std::string_view id) {
  std::string lower;
  return sealed == (core::normalize_uuid(id, lower) ? std::string_view(lower) : id);
}

Held compare(const core::OpenedEnvelope& envelope, const Ids& ids, const std::string* payload) {
  if (!envelope.t.starts_with(kDomain) || envelope.t.substr(kDomain.size()) != ids.t) return Held::something_else;
  if (!same_id(envelope.stream_id, ids.stream_id) || !same_id(envelope.sender_id, ids.sender_id) ||
      !same_id(envelope.txn_id, ids.txn_id)) {
    return Held::other_row;
  }
  return payload != nullptr && envelope.canonical_d != *payload ? Held::other_payload : Held::own_envelope;
}

// `payload` is null if the sealed column holds the payload.
Held held_by(const Json& sealed, const Json* payload, const Ids& ids, core::VerifyResult& result) {
  Held held = Held::something_else;
  result = sealing::with_keyring([&](const core::Keyring& keyring, core::CancelFlag cancel) {
    server::Scratch json, canonical;
    sealed.canonicalize(*json, cancel);
    // Most values are no envelopes, and are not read a second time. An envelope has its members in this order.
    if (!json->starts_with("{\"d\":") || !json->ends_with(",\"v\":1}")) return core::VerifyResult::malformed;
    const std::optional<core::OpenedEnvelope> opened = sealing::open_envelope(*json, keyring, cancel);
    if (!opened || !opened->payload_hash.empty()) return core::VerifyResult::malformed;
    if (payload != nullptr) payload->canonicalize(*canonical, cancel);
    held = compare(*opened, ids, payload == nullptr ? nullptr : &*canonical);
    return opened->result;
  });
  return held;
}

[[noreturn]] void raise_held(const RowTrigger& trigger, const char* column, const char* problem) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("column \"%s\" of table \"%s\" already holds an envelope, %s", column,
                         RelationGetRelationName(trigger.table()), problem),
                  errhint("Insert the payload, which is the member d of the envelope, to seal it again. To keep the "
                          "envelope, insert it with the values it was sealed with, and with its key in the keyring.")));
  pg_unreachable();
}

// Returns whether the row is already sealed.
bool is_sealed(const RowTrigger& trigger, const Json& sealed, const Json* payload, const Ids& ids) {
  if (sealed.is_null()) return false;
  core::VerifyResult result = core::VerifyResult::ok;
  const Held held = held_by(sealed, payload, ids, result);
  const char* const column = trigger.arg(kSealed);
  if (held == Held::something_else) return false;
  // The envelope in a column of its own is replaced by that of the new payload.
  if (payload != nullptr && (held == Held::other_row || held == Held::other_payload)) return false;
  if (held == Held::other_row) raise_held(trigger, column, "which was sealed for another row");
  if (result == core::VerifyResult::unknown_kid) raise_held(trigger, column, "whose key is not in the keyring");
  if (result != core::VerifyResult::ok) raise_held(trigger, column, "whose signature is wrong");
  return true;
}

varlena* seal(const Json& payload, const Ids& ids) {
  const core::Key& key = sealing::key_store::require_signing();
  const int64 ts = sealing::unix_ms(GetCurrentTimestamp());
  varlena* envelope;
  server::guarded([&](core::CancelFlag cancel) {
    server::Scratch canonical, sealed, type;
    payload.canonicalize(*canonical, cancel);
    type->append(kDomain).append(ids.t);
    sealing::seal_payload({*type, ids.stream_id, ids.sender_id, ids.txn_id, ts}, key, *canonical, *sealed);
    envelope = server::new_varlena(*sealed);
  });
  return envelope;
}

}  // namespace

SEALCAST_FUNCTION(sealcast_seal_row) {
  const RowTrigger trigger(fcinfo, RowTrigger::kSealRow);
  const char* const sealed_name = trigger.arg(kSealed);
  const char* const payload_name = trigger.arg_count() > kPayload ? trigger.arg(kPayload) : sealed_name;
  Column column = {payload_name, RelationGetRelationName(trigger.table())};
  ErrorContextCallback context = {error_context_stack, describe, &column};
  error_context_stack = &context;
  trigger.require_json(sealed_name);
  trigger.require_json(payload_name);

  const char* const type = trigger.arg(kType);
  const Ids ids = {type[0] == ':' ? trigger.text_of(type + 1) : type, trigger.text_of(trigger.arg(kStream)),
                   trigger.text_of(trigger.arg(kSender)), trigger.text_of(trigger.arg(kTxn))};
  int sealed_column = trigger.column(sealed_name);
  const bool in_place = trigger.column(payload_name) == sealed_column;
  const Json payload = json_of(trigger, payload_name);
  if (payload.is_null()) trigger.raise_null_error(payload_name);
  HeapTuple row = trigger.row();
  if (!is_sealed(trigger, in_place ? payload : json_of(trigger, sealed_name), in_place ? nullptr : &payload, ids)) {
    varlena* const envelope = seal(payload, ids);
    Datum value = PointerGetDatum(envelope);
    if (trigger.type_of(sealed_column) == JSONBOID) {
      value = DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(envelope)));
    }
    bool value_is_null = false;
    row = heap_modify_tuple_by_cols(row, trigger.columns(), 1, &sealed_column, &value, &value_is_null);
  }
  error_context_stack = context.previous;
  return PointerGetDatum(row);
}

}  // namespace sealcast::triggers
