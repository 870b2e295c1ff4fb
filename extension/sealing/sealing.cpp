// The SQL functions that sign, seal and verify, and the functions that show the keys.
#include "sealing/sealing.h"

#include "core/redaction.h"
#include "core/uuid.h"
#include "sealing/jsonb_walk.h"
#include "sealing/key_store.h"
#include "server/datum.h"
#include "server/guard.h"
#include "server/settings.h"
#include "server/versions.h"

extern "C" {
#include "utils/tuplestore.h"
}

namespace sealcast::sealing {

int64 unix_ms(TimestampTz time) {
  constexpr int64 kEpochUs = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
  return (time + kEpochUs) / 1000;
}

// If `id` is a UUID, returns it in lower case, in `buffer`: a UUID is sealed in lower case even if it was sent in upper
// case. Returns any other id unchanged.
static std::string_view lower_uuid(std::string_view id, std::string& buffer) {
  return core::normalize_uuid(id, buffer) ? std::string_view(buffer) : id;
}

void seal_payload(const SealRequest& request, const core::Key& key, std::string_view canonical, std::string& envelope) {
  server::Scratch signing;
  std::string stream_id, sender_id, txn_id;
  const core::Fields fields{request.t, lower_uuid(request.stream_id, stream_id),
                            lower_uuid(request.sender_id, sender_id), lower_uuid(request.txn_id, txn_id), request.ts};
  const core::Signature sig = core::sign_payload(fields, canonical, key, *signing);
  core::append_envelope(fields, key.kid, canonical, sig.bytes(), envelope);
}

static const core::Key* find_key(std::string_view kid, void* keyring) {
  return static_cast<const core::Keyring*>(keyring)->find(kid);
}

core::VerifyResult verify_envelope(std::string_view json, int64 now_ms, std::optional<int64> max_age_ms,
                                   const core::Keyring& keyring, core::CancelFlag cancel) {
  return core::verify_envelope(json, now_ms, max_age_ms, find_key, const_cast<core::Keyring*>(&keyring), cancel);
}

std::optional<core::OpenedEnvelope> open_envelope(std::string_view json, const core::Keyring& keyring,
                                                  core::CancelFlag cancel) {
  return core::open_envelope(json, find_key, const_cast<core::Keyring*>(&keyring), cancel);
}

varlena* redaction_text(const pg_uuid_t* by, int64 at, const text* reason) {
  static constexpr pg_uuid_t kNobody{};
  const server::UuidText author(by != nullptr ? *by : kNobody);
  varlena* result = nullptr;
  server::guarded([&](core::CancelFlag) {
    server::Scratch redaction;
    core::append_redaction(by != nullptr ? std::optional(author.view()) : std::nullopt, at,
                           reason != nullptr ? std::optional(server::view(reason)) : std::nullopt, *redaction);
    result = server::new_varlena(*redaction);
  });
  return result;
}

namespace {

// Returns the argument max_age in milliseconds. Returns nullopt, which means no limit, if it is null or infinite. A
// month counts as 30 days, so a year counts as 360 days (extract(epoch from interval) counts 365.25).
std::optional<int64> max_age_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(1)) return std::nullopt;
  const Interval* const age = PG_GETARG_INTERVAL_P(1);
  if (server::is_infinite(age)) return std::nullopt;
  const int64 ms =
      (age->month * static_cast<int64>(DAYS_PER_MONTH) + age->day) * (USECS_PER_DAY / 1000) + age->time / 1000;
  if (ms < 0) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_age is negative"),
                    errhint("Omit max_age to accept an envelope of any age.")));
  }
  return ms;
}

core::VerifyResult verify_json(FunctionCallInfo fcinfo) {
  const text* const envelope = PG_GETARG_TEXT_PP(0);
  const std::optional<int64> max_age = max_age_argument(fcinfo);
  const int64 now = unix_ms(GetCurrentTimestamp());
  return with_keyring([&](const core::Keyring& keyring, core::CancelFlag cancel) {
    return verify_envelope(server::view(envelope), now, max_age, keyring, cancel);
  });
}

// A jsonb envelope is checked as canonical text. A number that the canonical form would change makes it malformed.
core::VerifyResult verify_jsonb(FunctionCallInfo fcinfo) {
  const Jsonb* const envelope = PG_GETARG_JSONB_P(0);
  const std::optional<int64> max_age = max_age_argument(fcinfo);
  const int64 now = unix_ms(GetCurrentTimestamp());
  return with_keyring([&](const core::Keyring& keyring, core::CancelFlag cancel) {
    server::Scratch json;
    try {
      canonicalize_jsonb(envelope, *json, core::Rules::envelope, cancel);
    } catch (const core::Error& error) {
      if (error.kind() == core::ErrorKind::interrupted) throw;
      return core::VerifyResult::malformed;
    }
    return verify_envelope(*json, now, max_age, keyring, cancel);
  });
}

Datum text_datum(std::string_view text) {
  return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())));
}

// Uses text_datum(), because a bytea has the same binary layout as a text.
Datum bytea_datum(const core::Ed25519PublicKey& key) {
  return text_datum({reinterpret_cast<const char*>(key.data()), key.size()});
}

}  // namespace

SEALCAST_FUNCTION(sealcast_verify_json) {
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  PG_RETURN_BOOL(verify_json(fcinfo) == core::VerifyResult::ok);
}

SEALCAST_FUNCTION(sealcast_verify_jsonb) {
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  PG_RETURN_BOOL(verify_jsonb(fcinfo) == core::VerifyResult::ok);
}

SEALCAST_FUNCTION(sealcast_verify_detail_json) {
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  return text_datum(core::to_string(verify_json(fcinfo)));
}

SEALCAST_FUNCTION(sealcast_verify_detail_jsonb) {
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  return text_datum(core::to_string(verify_jsonb(fcinfo)));
}

SEALCAST_FUNCTION(sealcast_sign) {
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  const text* const signing = PG_GETARG_TEXT_PP(0);
  const core::Key& key =
      PG_ARGISNULL(1) ? key_store::require_signing() : key_store::require(server::view(PG_GETARG_TEXT_PP(1)));
  varlena* result;
  server::guarded([&](core::CancelFlag) { result = server::new_hex(key.sign(server::view(signing)).bytes()); });
  PG_RETURN_TEXT_P(result);
}

SEALCAST_FUNCTION(sealcast_seal) {
  const text* const t = PG_GETARG_TEXT_PP(0);
  const text* const stream_id = PG_GETARG_TEXT_PP(1);
  const text* const sender_id = PG_GETARG_TEXT_PP(2);
  const text* const txn_id = PG_GETARG_TEXT_PP(3);
  const int64 ts = PG_GETARG_INT64(4);
  const text* const d = PG_GETARG_TEXT_PP(5);
  const core::Key& key = key_store::require_signing();
  varlena* result;
  server::guarded([&](core::CancelFlag cancel) {
    server::Scratch canonical, envelope;
    core::canonicalize(server::view(d), *canonical, core::Rules::payload, cancel);
    seal_payload({server::view(t), server::view(stream_id), server::view(sender_id), server::view(txn_id), ts}, key,
                 *canonical, *envelope);
    result = server::new_varlena(*envelope);
  });
  PG_RETURN_TEXT_P(result);
}

// Returns the envelope of a stored message. The arguments are kid, t, stream_id, sender_id, ts, txn_id, the canonical
// payload or its hash, and sig. `append` writes the last two.
template <typename Append>
static Datum stored_envelope(FunctionCallInfo fcinfo, Append append) {
  const text* const kid = PG_GETARG_TEXT_PP(0);
  const text* const t = PG_GETARG_TEXT_PP(1);
  const server::UuidText stream_id(*PG_GETARG_UUID_P(2));
  const server::UuidText sender_id(*PG_GETARG_UUID_P(3));
  const int64 ts = PG_GETARG_INT64(4);
  const server::UuidText txn_id(*PG_GETARG_UUID_P(5));
  const varlena* const payload = PG_GETARG_VARLENA_PP(6);
  const bytea* const sig = PG_GETARG_BYTEA_PP(7);
  if (!core::Signature::has_size(server::view(sig).size())) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("a signature has %d bytes (HMAC-SHA-256) or %d (Ed25519), not %d",
                           static_cast<int>(sizeof(core::Digest)), static_cast<int>(sizeof(core::Ed25519Signature)),
                           static_cast<int>(server::view(sig).size()))));
  }
  varlena* result;
  server::guarded([&](core::CancelFlag) {
    server::Scratch envelope;
    append(core::Fields{server::view(t), stream_id.view(), sender_id.view(), txn_id.view(), ts}, server::view(kid),
           server::view(payload), server::view(sig), *envelope);
    result = server::new_varlena(*envelope);
  });
  PG_RETURN_TEXT_P(result);
}

SEALCAST_FUNCTION(sealcast_envelope_text) { return stored_envelope(fcinfo, core::append_envelope); }

SEALCAST_FUNCTION(sealcast_redacted_envelope_text) {
  return stored_envelope(fcinfo, [](const core::Fields& fields, std::string_view kid, std::string_view hash,
                                    std::string_view sig, std::string& out) {
    std::string digits;
    core::append_hex(hash, digits);
    core::append_redacted_envelope(fields, kid, digits, sig, out);
  });
}

SEALCAST_FUNCTION(sealcast_redaction_text) {
  if (PG_ARGISNULL(1)) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(redaction_text(PG_ARGISNULL(0) ? nullptr : PG_GETARG_UUID_P(0), PG_GETARG_INT64(1),
                                  PG_ARGISNULL(2) ? nullptr : PG_GETARG_TEXT_PP(2)));
}

SEALCAST_FUNCTION(sealcast_signing_kid) {
  const core::Key& key = key_store::require_signing();
  PG_RETURN_TEXT_P(cstring_to_text_with_len(key.kid.data(), static_cast<int>(key.kid.size())));
}

SEALCAST_FUNCTION(sealcast_keys) {
  InitMaterializedSRF(fcinfo, 0);
  auto* const result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  // The keyring belongs to the key store, so an ereport below leaks nothing.
  for (const core::Key& key : key_store::current().keys()) {
    const core::Ed25519PublicKey* const shown = key.public_key();
    Datum values[] = {CStringGetTextDatum(key.kid.c_str()), BoolGetDatum(key.kid == server::settings::signing_kid),
                      CStringGetTextDatum(key.fingerprint.c_str()), text_datum(core::to_string(key.algorithm())),
                      shown == nullptr ? Datum{0} : bytea_datum(*shown)};
    bool nulls[] = {false, false, false, false, shown == nullptr};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return static_cast<Datum>(0);
}

}  // namespace sealcast::sealing
