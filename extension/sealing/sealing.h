// Seals a canonical payload (signs it and makes the envelope), and opens envelopes. Used by the SQL functions for
// sealing, by the trigger seal_row() and by the event plane.
#pragma once

#include "core/envelope.h"
#include "core/keyring.h"
#include "sealing/key_store.h"
#include "server/guard.h"
#include "server/pg.h"

namespace sealcast::sealing {

struct SealRequest {
  std::string_view t;
  std::string_view stream_id;  // the three ids may be any text; an id that is a UUID is sealed in lower case
  std::string_view sender_id;
  std::string_view txn_id;
  int64 ts;  // milliseconds since 1970
};

// Signs a canonical payload and appends its envelope to `envelope`. Call it inside a guard, because it may throw.
void seal_payload(const SealRequest& request, const core::Key& key, std::string_view canonical, std::string& envelope);

// Runs `check(keyring, cancel)` inside a guard and returns its result. If the key id is unknown, the key may be new:
// reads the keyring again and, if it has changed, runs `check` a second time.
template <class Check>
core::VerifyResult with_keyring(Check check) {
  core::VerifyResult result = core::VerifyResult::malformed;
  const core::Keyring* keyring = &key_store::current();
  const auto check_once = [&] { server::guarded([&](core::CancelFlag cancel) { result = check(*keyring, cancel); }); };
  check_once();
  if (result == core::VerifyResult::unknown_kid && key_store::reread_after_miss()) {
    keyring = &key_store::current();
    check_once();
  }
  return result;
}

// core::verify_envelope() and core::open_envelope() with the keys of a keyring. Call them inside a guard.
core::VerifyResult verify_envelope(std::string_view json, int64 now_ms, std::optional<int64> max_age_ms,
                                   const core::Keyring& keyring, core::CancelFlag cancel);
std::optional<core::OpenedEnvelope> open_envelope(std::string_view json, const core::Keyring& keyring,
                                                  core::CancelFlag cancel);

// Returns the member `redacted` of a frame as text, see core::append_redaction(). `by` and `reason` may be null. Call
// it outside a guard.
varlena* redaction_text(const pg_uuid_t* by, int64 at, const text* reason);

// Converts a time of Postgres into milliseconds since 1970 (UTC).
int64 unix_ms(TimestampTz time);

}  // namespace sealcast::sealing
