// Implements the SQL functions that need no key: canonicalize(), payload_hash() and signing_string().
#include "core/digest.h"
#include "core/envelope.h"
#include "sealing/jsonb_walk.h"
#include "server/datum.h"
#include "server/guard.h"

namespace sealcast::sealing {

namespace {

template <class Canonicalize>
Datum canonical_text(Canonicalize canonicalize) {
  varlena* result;
  server::guarded([&](core::CancelFlag cancel) {
    server::Scratch canonical;
    canonicalize(*canonical, cancel);
    result = server::new_varlena(*canonical);
  });
  return PointerGetDatum(result);
}

template <class Canonicalize>
Datum canonical_hash(Canonicalize canonicalize) {
  varlena* result;
  server::guarded([&](core::CancelFlag cancel) {
    server::Scratch canonical;
    canonicalize(*canonical, cancel);
    result = server::new_hex(core::bytes(core::sha256(*canonical)));
  });
  return PointerGetDatum(result);
}

auto from_json(const text* document) {
  return [document](std::string& out, core::CancelFlag cancel) {
    core::canonicalize(server::view(document), out, core::Rules::rfc8785, cancel);
  };
}

auto from_jsonb(const Jsonb* document) {
  return [document](std::string& out, core::CancelFlag cancel) {
    canonicalize_jsonb(document, out, core::Rules::rfc8785, cancel);
  };
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
  server::guarded([&](core::CancelFlag) {
    const core::Fields fields{server::view(t), server::view(stream_id), server::view(sender_id), server::view(txn_id),
                              ts};
    server::Scratch signing;
    core::append_signing_string(fields, server::view(payload_hash), *signing);
    result = server::new_varlena(*signing);
  });
  PG_RETURN_TEXT_P(result);
}

}  // namespace sealcast::sealing
