// The envelope: what a message is on the wire, how it is sealed, and how it is checked (docs/envelope.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/canonical_json.h"
#include "core/keyring.h"
#include "core/signature.h"

namespace sealcast::core {

// The fields that are signed beside the payload, as they stand in the signing string.
struct Fields {
  std::string_view t;          // message type
  std::string_view stream_id;  // lower-case UUID, or any other id of a foreign table
  std::string_view sender_id;
  std::string_view txn_id;
  std::int64_t ts;  // Unix milliseconds, 0 .. 253402300799999 (year 9999)
};

// Appends v=1|t={t}|stream_id={…}|sender_id={…}|txn_id={…}|ts={ts}|payload_hash={…}. Throws
// Error{invalid_argument} naming the field that is empty, holds '|', '=' or a control character (U+0000–U+001F,
// U+007F–U+009F), or is out of range.
void append_signing_string(const Fields& fields, std::string_view payload_hash, std::string& out);

// The signature of an already canonical payload. `signing` receives the signing string (a reused buffer).
Signature sign_payload(const Fields& fields, std::string_view canonical_d, const Key& key, std::string& signing);

// Appends {"v":1,"kid":…,"t":…,"stream_id":…,"s":…,"ts":…,"txn_id":…,"d":…,"sig":…}; `canonical_d` goes in as it is,
// the bytes of the signature as hex.
void append_envelope(const Fields& fields, std::string_view kid, std::string_view canonical_d, std::string_view sig,
                     std::string& out);

enum class Verdict { ok, malformed, unknown_kid, bad_signature, expired, from_future };
std::string_view to_string(Verdict verdict) noexcept;

// A message dated further ahead of the server's clock than this is from_future.
inline constexpr std::int64_t kMaxClockSkewMs = 60'000;

// Finds a key by id; null when unknown. A function so that a caller may re-read its keyring on a miss.
using FindKey = const Key* (*)(std::string_view kid, void* context);

// Checks an envelope given as JSON text: exactly the nine members in any order, none twice, well-formed, every number
// exact, signed by a known key, not older than `max_age_ms` (if any) nor from the future. `v` and `ts` count by value,
// so 1.0 is 1. Reports the first that holds of: malformed, unknown_kid, bad_signature, from_future, expired.
// Never throws except Error{interrupted}.
Verdict verify_envelope(std::string_view json, std::int64_t now_ms, std::optional<std::int64_t> max_age_ms,
                        FindKey find_key, void* context, CancelFlag cancel = nullptr);

}  // namespace sealcast::core
