// Builds signing strings, seals envelopes and verifies them.
#include "core/envelope.h"

#include <array>
#include <charconv>
#include <cstring>
#include <span>

#include "core/error.h"
#include "core/json_string.h"
#include "core/text_canonicalizer.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sealcast::core {
namespace {

constexpr std::int64_t kMaxTimestamp = 253'402'300'799'999;  // end of the year 9999

// Bytes that a signed field must not contain. U+0080..U+009F have two bytes and are checked separately.
constexpr std::array<bool, 256> kForbidden = [] {
  std::array<bool, 256> table{};
  for (int c = 0; c < 0x20; ++c) table[static_cast<std::size_t>(c)] = true;
  table[0x7F] = table['|'] = table['='] = true;
  return table;
}();

// Returns true if all bytes are ASCII and allowed. Checks 16 bytes at a time. Returns false if the slow check must
// decide: for other bytes, for a text of fewer than 16 bytes, and without SSE2.
bool all_plainly_allowed(std::string_view text) {
#if defined(__SSE2__)
  if (text.size() < 16) return false;
  const auto special = [](const char* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    // The comparison is signed, so bytes from 0x80 are negative. One comparison with a space finds these bytes and the
    // control characters.
    const __m128i control =
        _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F)));
    const __m128i separator =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('|')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('=')));
    return _mm_or_si128(control, separator);
  };
  __m128i found = special(text.data() + text.size() - 16);  // the last 16 bytes; may overlap a block of the loop
  for (std::size_t i = 0; i + 16 < text.size(); i += 16) found = _mm_or_si128(found, special(text.data() + i));
  return _mm_movemask_epi8(found) == 0;
#else
  static_cast<void>(text);
  return false;
#endif
}

// Returns the problem of the text, or null if the text is valid as a signed field.
const char* problem_of_field(std::string_view text) {
  if (all_plainly_allowed(text)) return nullptr;
  if (text.empty()) return "is empty";
  unsigned char previous = 0;
  for (const char each : text) {
    const auto c = static_cast<unsigned char>(each);
    if (kForbidden[c]) return "contains '|', '=' or a control character";
    if (previous == 0xC2 && c < 0xA0) return "contains a control character";
    previous = c;
  }
  return nullptr;
}

void append_integer(std::int64_t value, std::string& out) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

void require_field(const char* name, std::string_view value) {
  if (const char* problem = problem_of_field(value)) {
    throw Error(ErrorKind::invalid_argument, std::string("signed field \"") + name + "\" " + problem, {},
                "A signed field must not be empty and must not contain '|', '=' or a control character.");
  }
}

// Upper bound for the length, in bytes, of the fixed parts of a signing string together with its `ts`.
constexpr std::size_t kMaxFixedParts = 96;

std::size_t max_signing_size(const Fields& fields) {
  return kMaxFixedParts + fields.t.size() + fields.stream_id.size() + fields.sender_id.size() + fields.txn_id.size();
}

template <std::size_t kSize>
char* write(const char (&literal)[kSize], char* out) {
  std::memcpy(out, literal, kSize - 1);
  return out + kSize - 1;
}

char* write(std::string_view text, char* out) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// Writes the signing string without the payload hash, which is its last part. Returns the end.
char* write_signing_string(const Fields& fields, char* out) {
  require_field("t", fields.t);
  require_field("stream_id", fields.stream_id);
  require_field("sender_id", fields.sender_id);
  require_field("txn_id", fields.txn_id);
  if (fields.ts < 0 || fields.ts > kMaxTimestamp) {
    throw Error(ErrorKind::invalid_argument, "signed field \"ts\" is out of range", {},
                "Use Unix milliseconds from 0 to 253402300799999 (the end of the year 9999).");
  }
  out = write(fields.t, write("v=1|t=", out));
  out = write(fields.stream_id, write("|stream_id=", out));
  out = write(fields.sender_id, write("|sender_id=", out));
  out = write(fields.txn_id, write("|txn_id=", out));
  out = std::to_chars(write("|ts=", out), out + 24, fields.ts).ptr;
  return write("|payload_hash=", out);
}

// Replaces `signing` with the signing string of a canonical payload.
void build_signing_string(const Fields& fields, std::string_view canonical_d, std::string& signing) {
  signing.resize(max_signing_size(fields) + kHexDigest);
  char* const end = write_hex(bytes(sha256(canonical_d)), write_signing_string(fields, signing.data()));
  signing.resize(static_cast<std::size_t>(end - signing.data()));
}

void append_string(std::string_view text, std::string& out) {
  Fault fault;
  if (!append_json_string(text, out, fault)) {
    throw Error(ErrorKind::invalid_argument, "a field of the envelope is not valid UTF-8");
  }
}

// The members of an envelope in canonical order, in which canonicalize_members() returns them. Only a redacted envelope
// has kPayloadHash.
enum Position { kD, kKid, kPayloadHash, kSender, kSig, kStreamId, kType, kTs, kTxnId, kVersion, kMembers };
constexpr std::array<std::string_view, kMembers> kNames = {"d",         "kid", "payload_hash", "s",      "sig",
                                                           "stream_id", "t",   "ts",           "txn_id", "v"};

// The views point into `canonical` and `unescaped` of the Buffers that were passed to parse_envelope().
struct ParsedEnvelope {
  Fields fields;
  std::string_view kid;
  std::string_view d;
  std::string_view payload_hash;  // 64 hex digits of a redacted envelope; empty for any other one
  Signature sig;
};

struct Buffers {
  std::string canonical;
  std::string unescaped;
  std::string signing;
};

bool parse_envelope(std::string_view json, CancelFlag cancel, Buffers& buffers, ParsedEnvelope& out) {
  ThreadScratch scratch;
  bool is_object = false;
  const std::span<Member> members =
      canonicalize_members(json, buffers.canonical, Rules::envelope, cancel, *scratch, is_object);
  const bool redacted = members.size() == kMembers;
  if (!is_object || (!redacted && members.size() != kMembers - 1)) return false;
  std::array<std::string_view, kMembers> values;
  std::size_t next = 0;
  for (std::size_t i = 0; i < kMembers; ++i) {
    if (i == kPayloadHash && !redacted) continue;
    const Member& member = members[next++];
    if (member.key != kNames[i]) return false;
    const std::size_t begin = member.begin + kNames[i].size() + 3;  // after the quotes and the colon
    values[i] = std::string_view(buffers.canonical).substr(begin, member.end - begin);
  }
  if (values[kVersion] != "1") return false;

  const auto text = [&](Position position, std::string_view& into) {
    std::string_view value = values[position];
    if (!value.starts_with('"')) return false;
    value = value.substr(1, value.size() - 2);
    if (value.find('\\') == std::string_view::npos) {
      into = value;
    } else {
      // The first string with an escape reserves the maximum size, so that views of earlier strings stay valid.
      if (buffers.unescaped.empty()) buffers.unescaped.reserve(buffers.canonical.size());
      const std::size_t start = buffers.unescaped.size();
      append_unescaped(value, buffers.unescaped);
      into = std::string_view(buffers.unescaped).substr(start);
    }
    return true;
  };
  std::string_view sig;
  if (!text(kType, out.fields.t) || !text(kStreamId, out.fields.stream_id) || !text(kSender, out.fields.sender_id) ||
      !text(kTxnId, out.fields.txn_id) || !text(kKid, out.kid) || !text(kSig, sig)) {
    return false;
  }
  const std::string_view ts = values[kTs];
  const auto [end, error] = std::from_chars(ts.data(), ts.data() + ts.size(), out.fields.ts);
  if (error != std::errc{} || end != ts.data() + ts.size()) return false;
  out.d = values[kD];
  if (redacted) {
    Digest digest;
    if (out.d != "null" || !text(kPayloadHash, out.payload_hash) || !from_hex(out.payload_hash, digest)) return false;
  }
  return is_kid(out.kid) && out.sig.read_hex(sig);
}

}  // namespace

void append_signing_string(const Fields& fields, std::string_view payload_hash, std::string& out) {
  require_field("payload_hash", payload_hash);
  const std::size_t start = out.size();
  out.resize(start + max_signing_size(fields) + payload_hash.size());
  char* const end = write(payload_hash, write_signing_string(fields, out.data() + start));
  out.resize(static_cast<std::size_t>(end - out.data()));
}

Signature sign_payload(const Fields& fields, std::string_view canonical_d, const Key& key, std::string& signing) {
  build_signing_string(fields, canonical_d, signing);
  return key.sign(signing);
}

// Appends the members before `d`.
static void append_head(const Fields& fields, std::string_view kid, std::string& out) {
  out += "{\"v\":1,\"kid\":";
  append_string(kid, out);
  out += ",\"t\":";
  append_string(fields.t, out);
  out += ",\"stream_id\":";
  append_string(fields.stream_id, out);
  out += ",\"s\":";
  append_string(fields.sender_id, out);
  out += ",\"ts\":";
  append_integer(fields.ts, out);
  out += ",\"txn_id\":";
  append_string(fields.txn_id, out);
}

static void append_tail(std::string_view sig, std::string& out) {
  out += ",\"sig\":\"";
  append_hex(sig, out);
  out += "\"}";
}

void append_envelope(const Fields& fields, std::string_view kid, std::string_view canonical_d, std::string_view sig,
                     std::string& out) {
  append_head(fields, kid, out);
  out += ",\"d\":";
  out += canonical_d;
  append_tail(sig, out);
}

void append_redacted_envelope(const Fields& fields, std::string_view kid, std::string_view payload_hash,
                              std::string_view sig, std::string& out) {
  append_head(fields, kid, out);
  out += kRedactedPayload;
  out += payload_hash;
  out += '"';
  append_tail(sig, out);
}

std::string_view to_string(VerifyResult result) noexcept {
  switch (result) {
    case VerifyResult::ok:
      return "ok";
    case VerifyResult::malformed:
      return "malformed";
    case VerifyResult::unknown_kid:
      return "unknown_kid";
    case VerifyResult::bad_signature:
      return "bad_signature";
    case VerifyResult::expired:
      return "expired";
    case VerifyResult::from_future:
      return "from_future";
    case VerifyResult::redacted:
      return "redacted";
  }
  return "malformed";
}

// Returns malformed, unknown_kid, bad_signature or ok.
static VerifyResult check_signature(std::string_view json, FindKey find_key, void* context, CancelFlag cancel,
                                    Buffers& buffers, ParsedEnvelope& envelope) {
  try {
    if (!parse_envelope(json, cancel, buffers, envelope)) return VerifyResult::malformed;
    // Runs before find_key(). It throws for invalid fields, so such an envelope is malformed even if its key is
    // unknown.
    if (envelope.payload_hash.empty()) {
      build_signing_string(envelope.fields, envelope.d, buffers.signing);
    } else {
      append_signing_string(envelope.fields, envelope.payload_hash, buffers.signing);
    }
    const Key* const key = find_key(envelope.kid, context);
    if (key == nullptr) return VerifyResult::unknown_kid;
    return key->verify(buffers.signing, envelope.sig) ? VerifyResult::ok : VerifyResult::bad_signature;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    return VerifyResult::malformed;
  }
}

VerifyResult verify_envelope(std::string_view json, std::int64_t now_ms, std::optional<std::int64_t> max_age_ms,
                             FindKey find_key, void* context, CancelFlag cancel) {
  Buffers buffers;
  ParsedEnvelope envelope;
  const VerifyResult result = check_signature(json, find_key, context, cancel, buffers, envelope);
  if (result != VerifyResult::ok) return result;
  // Checks the age after the signature, because an unsigned `ts` could be forged.
  const std::int64_t ts = envelope.fields.ts;
  if (is_from_future(ts, now_ms)) return VerifyResult::from_future;
  if (max_age_ms && now_ms - ts > *max_age_ms) return VerifyResult::expired;
  return envelope.payload_hash.empty() ? VerifyResult::ok : VerifyResult::redacted;
}

std::optional<OpenedEnvelope> open_envelope(std::string_view json, FindKey find_key, void* context, CancelFlag cancel) {
  Buffers buffers;
  ParsedEnvelope envelope;
  const VerifyResult result = check_signature(json, find_key, context, cancel, buffers, envelope);
  if (result == VerifyResult::malformed) return std::nullopt;
  const Fields& fields = envelope.fields;
  std::string& sealed = buffers.signing;
  sealed.clear();
  const bool redacted = !envelope.payload_hash.empty();
  if (result == VerifyResult::ok && redacted) {
    append_redacted_envelope(fields, envelope.kid, envelope.payload_hash, envelope.sig.bytes(), sealed);
  } else if (result == VerifyResult::ok) {
    append_envelope(fields, envelope.kid, envelope.d, envelope.sig.bytes(), sealed);
  }
  return OpenedEnvelope{std::string(fields.t),
                        std::string(fields.stream_id),
                        std::string(fields.sender_id),
                        std::string(fields.txn_id),
                        std::string(envelope.d),
                        std::string(envelope.payload_hash),
                        fields.ts,
                        sealed == json,
                        result};
}

}  // namespace sealcast::core
