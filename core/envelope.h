// The envelope: signs a payload, writes the sealed JSON and verifies it (docs/envelope.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/canonical_json.h"
#include "core/keyring.h"
#include "core/signature.h"

namespace sealcast::core {

// The fields that are signed together with the payload, as the signing string contains them.
struct Fields {
  std::string_view t;          // message type
  std::string_view stream_id;  // lower-case UUID, or another id if the operator's own table is sealed
  std::string_view sender_id;
  std::string_view txn_id;
  std::int64_t ts;  // Unix milliseconds, 0 .. 253402300799999 (year 9999)
};

// Appends v=1|t={t}|stream_id={…}|sender_id={…}|txn_id={…}|ts={ts}|payload_hash={…}. Throws
// Error{invalid_argument}, which names the field, if a field is empty, contains '|', '=' or a control character
// (U+0000–U+001F, U+007F–U+009F), or is out of range.
void append_signing_string(const Fields& fields, std::string_view payload_hash, std::string& out);

// Signs a canonical payload. Replaces `signing`, a buffer for reuse, with the signing string. Throws as
// append_signing_string().
Signature sign_payload(const Fields& fields, std::string_view canonical_d, const Key& key, std::string& signing);

// Appends {"v":1,"kid":…,"t":…,"stream_id":…,"s":…,"ts":…,"txn_id":…,"d":…,"sig":…}. `canonical_d` is copied as it is;
// `sig`, the bytes of the signature, is written in hex.
void append_envelope(const Fields& fields, std::string_view kid, std::string_view canonical_d, std::string_view sig,
                     std::string& out);

enum class VerifyResult { ok, malformed, unknown_kid, bad_signature, expired, from_future };
std::string_view to_string(VerifyResult result) noexcept;

// A message whose `ts` is further ahead of the server's clock than this is from_future.
inline constexpr std::int64_t kMaxClockSkewMs = 60'000;

// Returns the key with this id, or null if it is unknown. Callers supply it because some read their keyring again after
// a miss.
using FindKey = const Key* (*)(std::string_view kid, void* context);

// Verifies an envelope in JSON text. It must have exactly the nine members, in any order, without duplicates; each
// number must be exact; a known key must have signed it; it must not be older than `max_age_ms` (if given) nor from the
// future. `v` and `ts` are compared by value, so 1.0 is 1. Returns the first result that applies, in this order:
// malformed, unknown_kid, bad_signature, from_future, expired, ok. Throws only Error{interrupted}.
VerifyResult verify_envelope(std::string_view json, std::int64_t now_ms, std::optional<std::int64_t> max_age_ms,
                             FindKey find_key, void* context, CancelFlag cancel = nullptr);

}  // namespace sealcast::core
