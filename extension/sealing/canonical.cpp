// The pure SQL functions: canonical JSON, its hash, the signing string.
#include "core/digest.h"
#include "core/envelope.h"
#include "sealing/jsonb_walk.h"
#include "server/datum.h"
#include "server/guard.h"

using namespace sealcast;

namespace {

template <class Canonicalize>
Datum canonical_text(Canonicalize canonicalize) {
  varlena* result;
  guarded([&](CancelFlag cancel) {
    Scratch canonical;
    canonicalize(*canonical, cancel);
    result = new_varlena(*canonical);
  });
  return PointerGetDatum(result);
}

template <class Canonicalize>
Datum canonical_hash(Canonicalize canonicalize) {
  varlena* result;
  guarded([&](CancelFlag cancel) {
    Scratch canonical;
    canonicalize(*canonical, cancel);
    result = new_hex(bytes(sha256(*canonical)));
  });
  return PointerGetDatum(result);
}

auto from_json(const text* document) {
  return
      [document](std::string& out, CancelFlag cancel) { canonicalize(view(document), out, Numbers::rounded, cancel); };
}

auto from_jsonb(const Jsonb* document) {
  return
      [document](std::string& out, CancelFlag cancel) { canonicalize_jsonb(document, out, Numbers::rounded, cancel); };
}

}  // namespace

SEALCAST_FUNCTION(sealcast_canonicalize_json) { return canonical_text(from_json(PG_GETARG_TEXT_PP(0))); }

SEALCAST_FUNCTION(sealcast_canonicalize_jsonb) { return canonical_text(from_jsonb(PG_GETARG_JSONB_P(0))); }

SEALCAST_FUNCTION(sealcast_payload_hash_json) { return canonical_hash(from_json(PG_GETARG_TEXT_PP(0))); }

SEALCAST_FUNCTION(sealcast_payload_hash_jsonb) { return canonical_hash(from_jsonb(PG_GETARG_JSONB_P(0))); }

SEALCAST_FUNCTION(sealcast_signing_string) {
  const text* t = PG_GETARG_TEXT_PP(0);
  const text* stream_id = PG_GETARG_TEXT_PP(1);
  const text* sender_id = PG_GETARG_TEXT_PP(2);
  const text* txn_id = PG_GETARG_TEXT_PP(3);
  const int64 ts = PG_GETARG_INT64(4);
  const text* payload_hash = PG_GETARG_TEXT_PP(5);
  varlena* result;
  guarded([&](CancelFlag) {
    const Fields fields{view(t), view(stream_id), view(sender_id), view(txn_id), ts};
    Scratch signing;
    append_signing_string(fields, view(payload_hash), *signing);
    result = new_varlena(*signing);
  });
  PG_RETURN_TEXT_P(result);
}
