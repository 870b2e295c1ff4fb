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
