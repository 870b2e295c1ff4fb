// The trigger seal_row(): when a row is inserted into an application's table, seals a payload and puts the envelope
// into a json or jsonb column. The payload is the old value of that column, or the value of a column of its own.
#include "core/canonical_json.h"
#include "sealing/jsonb_walk.h"
#include "sealing/key_store.h"
#include "sealing/sealing.h"
#include "server/datum.h"
#include "server/guard.h"
#include "triggers/row_trigger.h"

namespace sealcast::triggers {

namespace {

constexpr const char* kUsage =
    "sealcast.seal_row('sealed column', 'message type or :column', 'stream column', 'sender column', "
    "'txn column' [, 'payload column'])";

enum Argument { kSealed, kType, kStream, kSender, kTxn, kPayload, kArguments };

bool is_json(Oid type) { return type == JSONOID || type == JSONBOID; }

void require_json(const RowTrigger& trigger, const char* name) {
  const Oid type = trigger.type_of(trigger.column(name));
  if (is_json(type)) return;
  ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                  errmsg("column \"%s\" of table \"%s\" is of type %s, not json or jsonb", name,
                         RelationGetRelationName(trigger.table()), format_type_be(type)),
                  errhint("The trigger's arguments are %s.", trigger.usage())));
}

struct Column {
  const char* name;
  const char* table;
};

void describe(void* argument) {
  const auto* const column = static_cast<const Column*>(argument);
  errcontext("sealing column \"%s\" of table \"%s\"", column->name, column->table);
}

}  // namespace

SEALCAST_FUNCTION(sealcast_seal_row) {
  const RowTrigger trigger(fcinfo, "sealcast.seal_row()", kUsage, kPayload, kArguments);
  const char* const sealed_name = trigger.arg(kSealed);
  const char* const payload_name = trigger.arg_count() > kPayload ? trigger.arg(kPayload) : sealed_name;
  Column column = {payload_name, RelationGetRelationName(trigger.table())};
  ErrorContextCallback context = {error_context_stack, describe, &column};
  error_context_stack = &context;
  require_json(trigger, sealed_name);
  require_json(trigger, payload_name);

  const char* const type_argument = trigger.arg(kType);
  const char* const t = type_argument[0] == ':' ? trigger.text_of(type_argument + 1) : type_argument;
  const char* const stream_id = trigger.text_of(trigger.arg(kStream));
  const char* const sender_id = trigger.text_of(trigger.arg(kSender));
  const char* const txn_id = trigger.text_of(trigger.arg(kTxn));

  const int payload_column = trigger.column(payload_name);
  bool is_null;
  const Datum payload = SPI_getbinval(trigger.row(), trigger.columns(), payload_column, &is_null);
  if (is_null) trigger.raise_null_error(payload_name);
  const bool is_jsonb = trigger.type_of(payload_column) == JSONBOID;
  const text* const json = is_jsonb ? nullptr : DatumGetTextPP(payload);
  const Jsonb* const jsonb = is_jsonb ? DatumGetJsonbP(payload) : nullptr;

  const core::Key& key = sealing::key_store::require_signing();
  const int64 ts = sealing::unix_ms(GetCurrentTimestamp());
  varlena* envelope;
  server::guarded([&](core::CancelFlag cancel) {
    server::Scratch canonical, sealed;
    if (jsonb != nullptr) {
      sealing::canonicalize_jsonb(jsonb, *canonical, core::Numbers::exact, cancel);
    } else {
      core::canonicalize(server::view(json), *canonical, core::Numbers::exact, cancel);
    }
    sealing::seal_payload({t, stream_id, sender_id, txn_id, ts}, key, *canonical, *sealed);
    envelope = server::new_varlena(*sealed);
  });

  int sealed_column = trigger.column(sealed_name);
  Datum value = PointerGetDatum(envelope);
  if (trigger.type_of(sealed_column) == JSONBOID) {
    value = DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(envelope)));
  }
  bool value_is_null = false;
  error_context_stack = context.previous;
  return PointerGetDatum(
      heap_modify_tuple_by_cols(trigger.row(), trigger.columns(), 1, &sealed_column, &value, &value_is_null));
}

}  // namespace sealcast::triggers
