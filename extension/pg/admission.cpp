// The steps of sealing as admit() takes them: payload first, then signature, then envelope, ids as uuid throughout.
#include "core/envelope.h"
#include "core/payload.h"
#include "datum.h"
#include "guard.h"
#include "key_store.h"

extern "C" {
#include "access/htup_details.h"
#include "utils/array.h"
}

using namespace sealcast;

namespace {

struct TextArray {
  Datum* items = nullptr;
  bool* nulls = nullptr;
  int count = 0;
};

TextArray text_array_argument(FunctionCallInfo fcinfo, int argument) {
  TextArray result;
  if (PG_ARGISNULL(argument)) return result;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), TEXTOID, -1, false, TYPALIGN_INT, &result.items, &result.nulls,
                    &result.count);
  return result;
}

const void* item(const TextArray& array, int i) { return DatumGetPointer(array.items[i]); }

// A backend's own, so that the canonical text keeps its room from message to message.
Payload& reused_payload() {
  static Payload payload;
  constexpr std::size_t kKeptBytes = 1 << 20;
  if (payload.canonical.capacity() > kKeptBytes) std::string().swap(payload.canonical);
  return payload;
}

}  // namespace

SEALCAST_FUNCTION(sealcast_prepare_payload) {
  enum { kCanonical, kSentHash, kProblem, kColumns };
  const TextArray names = text_array_argument(fcinfo, 1);
  const TextArray values = text_array_argument(fcinfo, 2);
  if (names.count != values.count) {
    ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
                    errmsg("server_fields has %d items and server_values %d", names.count, values.count)));
  }
  for (int i = 0; i < names.count; ++i) {
    if (names.nulls[i]) {
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("server_fields holds a null")));
    }
  }

  Datum columns[kColumns] = {};
  bool nulls[kColumns] = {true, true, true};
  if (PG_ARGISNULL(0)) {
    columns[kProblem] = CStringGetTextDatum("the payload is null");
    nulls[kProblem] = false;
  } else {
    const text* const d = PG_GETARG_TEXT_PP(0);
    guarded([&](CancelFlag cancel) {
      const auto put = [&](int column, std::string_view bytes) {
        columns[column] = PointerGetDatum(new_varlena(bytes));
        nulls[column] = false;
      };
      std::vector<ServerField> fields;
      fields.reserve(static_cast<std::size_t>(names.count));
      for (int i = 0; i < names.count; ++i) {
        fields.push_back({view(item(names, i)), values.nulls[i] ? std::string_view() : view(item(values, i))});
      }
      Payload& payload = reused_payload();
      try {
        prepare_payload(view(d), fields, payload, cancel);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::invalid_json && error.kind() != ErrorKind::invalid_argument) throw;
        char problem[sizeof(Report::message)];
        copy_clipped(problem, sizeof problem, error.what());
        return put(kProblem, problem);
      }
      put(kCanonical, payload.canonical);
      put(kSentHash, {reinterpret_cast<const char*>(payload.sent_hash.data()), payload.sent_hash.size()});
    });
  }
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(record_type(fcinfo), columns, nulls)));
}

SEALCAST_FUNCTION(sealcast_payload_signature) {
  const Key& key = key_store::require(view(PG_GETARG_TEXT_PP(0)));
  const text* const t = PG_GETARG_TEXT_PP(1);
  const UuidText stream_id(*PG_GETARG_UUID_P(2));
  const UuidText sender_id(*PG_GETARG_UUID_P(3));
  const UuidText txn_id(*PG_GETARG_UUID_P(4));
  const int64 ts = PG_GETARG_INT64(5);
  const text* const canonical = PG_GETARG_TEXT_PP(6);
  varlena* result;
  guarded([&](CancelFlag) {
    Scratch signing;
    const Fields fields{view(t), stream_id.view(), sender_id.view(), txn_id.view(), ts};
    const Digest sig = sign_payload(fields, view(canonical), key, *signing);
    result = new_varlena({reinterpret_cast<const char*>(sig.data()), sig.size()});
  });
  PG_RETURN_BYTEA_P(result);
}

SEALCAST_FUNCTION(sealcast_envelope_text) {
  const text* const kid = PG_GETARG_TEXT_PP(0);
  const text* const t = PG_GETARG_TEXT_PP(1);
  const UuidText stream_id(*PG_GETARG_UUID_P(2));
  const UuidText sender_id(*PG_GETARG_UUID_P(3));
  const int64 ts = PG_GETARG_INT64(4);
  const UuidText txn_id(*PG_GETARG_UUID_P(5));
  const text* const canonical = PG_GETARG_TEXT_PP(6);
  const bytea* const sig = PG_GETARG_BYTEA_PP(7);
  Digest digest;
  if (view(sig).size() != digest.size()) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("a signature has %d bytes, not %d", static_cast<int>(digest.size()),
                           static_cast<int>(view(sig).size()))));
  }
  std::memcpy(digest.data(), view(sig).data(), digest.size());
  varlena* result;
  guarded([&](CancelFlag) {
    Scratch envelope;
    append_envelope({view(t), stream_id.view(), sender_id.view(), txn_id.view(), ts}, view(kid), view(canonical),
                    digest, *envelope);
    result = new_varlena(*envelope);
  });
  PG_RETURN_TEXT_P(result);
}
