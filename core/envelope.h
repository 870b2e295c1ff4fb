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

// The fields that are signed together with the payload. The signing string contains them unchanged.
struct Fields {
  std::string_view t;          // message type
  std::string_view stream_id;  // lower-case UUID, or another id if the operator's own table is sealed
  std::string_view sender_id;
  std::string_view txn_id;
  std::int64_t ts;  // Unix milliseconds, 0 .. 253402300799999 (year 9999)
};

// Appends v=1|t={t}|stream_id={…}|sender_id={…}|txn_id={…}|ts={ts}|payload_hash={…}. Throws Error{invalid_argument},
// which names the field, if a text is empty or contains '|', '=' or a control character (U+0000–U+001F, U+007F–U+009F),
// or if `ts` is out of range. After an error the content of `out` is unspecified.
void append_signing_string(const Fields& fields, std::string_view payload_hash, std::string& out);

// Signs a canonical payload. Replaces `signing`, a buffer that callers reuse, with the signing string. Throws the
// errors of append_signing_string(), and std::runtime_error if OpenSSL cannot sign with an Ed25519 key.
Signature sign_payload(const Fields& fields, std::string_view canonical_d, const Key& key, std::string& signing);

// Appends {"v":1,"kid":…,"t":…,"stream_id":…,"s":…,"ts":…,"txn_id":…,"d":…,"sig":…}. Copies `canonical_d` unchanged,
// and writes `sig`, the bytes of the signature, in hex. Throws Error{invalid_argument} if a field is not valid UTF-8.
void append_envelope(const Fields& fields, std::string_view kid, std::string_view canonical_d, std::string_view sig,
                     std::string& out);

// What a redacted envelope has in the place of ,"d":…, up to the digits of the hash.
inline constexpr std::string_view kRedactedPayload = ",\"d\":null,\"payload_hash\":\"";

// Appends the envelope of a message whose content was erased: {…,"txn_id":…,"d":null,"payload_hash":…,"sig":…}.
// `payload_hash` is the SHA-256 of the erased payload, 64 lower-case hex digits, which are copied unchanged.
void append_redacted_envelope(const Fields& fields, std::string_view kid, std::string_view payload_hash,
                              std::string_view sig, std::string& out);

// redacted: the signature is genuine, but it covers the hash of a payload that was erased.
enum class VerifyResult { ok, malformed, unknown_kid, bad_signature, expired, from_future, redacted };
std::string_view to_string(VerifyResult result) noexcept;

// If the `ts` of a message is ahead of the server's clock by more than this, the result is from_future.
inline constexpr std::int64_t kMaxClockSkewMs = 60'000;
constexpr bool is_from_future(std::int64_t ts, std::int64_t now_ms) { return ts - now_ms > kMaxClockSkewMs; }

// A function that returns the key with this id, or null if the id is unknown. It is a parameter instead of a Keyring,
// because some callers read their keyring again if the id is unknown.
using FindKey = const Key* (*)(std::string_view kid, void* context);

// Verifies an envelope in JSON text. The envelope must have exactly the nine members, in any order, without duplicates;
// or these and `payload_hash`, 64 lower-case hex digits, while `d` is null. Each number must be exact. A known key must
// have signed the envelope. It must not be older than `max_age_ms` (if given), and not from the future. `v` and `ts`
// are compared by value, so 1.0 is 1. Returns the first result that applies, in this order: malformed, unknown_kid,
// bad_signature, from_future, expired, redacted, ok. The only Error that it throws is Error{interrupted}: another
// Error, also of `find_key`, makes the envelope malformed. Throws std::runtime_error if OpenSSL fails for an Ed25519
// key.
VerifyResult verify_envelope(std::string_view json, std::int64_t now_ms, std::optional<std::int64_t> max_age_ms,
                             FindKey find_key, void* context, CancelFlag cancel = nullptr);

// The parts of an envelope. They are copies.
struct OpenedEnvelope {
  std::string t;
  std::string stream_id;
  std::string sender_id;
  std::string txn_id;
  std::string canonical_d;
  std::string payload_hash;  // of a redacted envelope; empty for any other one
  std::int64_t ts;
  bool as_sealed;       // the result is ok, and the text is byte for byte as one of the two functions above writes it
  VerifyResult result;  // ok, unknown_kid or bad_signature
};

// Reads an envelope, whatever its age. Returns nullopt if it is malformed. Throws as verify_envelope() does.
std::optional<OpenedEnvelope> open_envelope(std::string_view json, FindKey find_key, void* context,
                                            CancelFlag cancel = nullptr);

}  // namespace sealcast::core
