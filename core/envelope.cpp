// Sealing and checking envelopes.
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

constexpr std::int64_t kMaxTimestamp = 253'402'300'799'999;

// Bytes that no signed field may hold; the second byte of U+0080..U+009F is looked at apart.
constexpr std::array<bool, 256> kForbidden = [] {
  std::array<bool, 256> table{};
  for (int c = 0; c < 0x20; ++c) table[static_cast<std::size_t>(c)] = true;
  table[0x7F] = table['|'] = table['='] = true;
  return table;
}();

// Whether 16 bytes a time tell that every byte is ASCII and none forbidden.
bool plainly_allowed(std::string_view text) {
#if defined(__SSE2__)
  if (text.size() < 16) return false;
  const auto careful = [](const char* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    // Signed comparison: bytes from 0x80 on count as less than a space, like controls.
    const __m128i control =
        _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F)));
    const __m128i separator =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('|')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('=')));
    return _mm_or_si128(control, separator);
  };
  __m128i found = careful(text.data() + text.size() - 16);  // overlaps the last one of the others
  for (std::size_t i = 0; i + 16 < text.size(); i += 16) found = _mm_or_si128(found, careful(text.data() + i));
  return _mm_movemask_epi8(found) == 0;
#else
  static_cast<void>(text);
  return false;
#endif
}

const char* problem_of_field(std::string_view text) {
  if (plainly_allowed(text)) return nullptr;
  if (text.empty()) return "is empty";
  unsigned char before = 0;
  for (const char each : text) {
    const auto c = static_cast<unsigned char>(each);
    if (kForbidden[c]) return "holds '|', '=' or a control character";
    if (before == 0xC2 && c < 0xA0) return "holds a control character";
    before = c;
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
                "A signed field is not empty and holds no '|', no '=' and no control character.");
  }
}

// How long a signing string is at most beside its five texts.
constexpr std::size_t kSigningFrame = 96;

std::size_t signing_bound(const Fields& fields) {
  return kSigningFrame + fields.t.size() + fields.stream_id.size() + fields.sender_id.size() + fields.txn_id.size();
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

// Everything up to the payload's hash.
char* write_signing_string(const Fields& fields, char* out) {
  require_field("t", fields.t);
  require_field("stream_id", fields.stream_id);
  require_field("sender_id", fields.sender_id);
  require_field("txn_id", fields.txn_id);
  if (fields.ts < 0 || fields.ts > kMaxTimestamp) {
    throw Error(ErrorKind::invalid_argument, "signed field \"ts\" is out of range", {},
                "It is a time in Unix milliseconds, from 0 to the end of the year 9999.");
  }
  out = write(fields.t, write("v=1|t=", out));
  out = write(fields.stream_id, write("|stream_id=", out));
  out = write(fields.sender_id, write("|sender_id=", out));
  out = write(fields.txn_id, write("|txn_id=", out));
  out = std::to_chars(write("|ts=", out), out + 24, fields.ts).ptr;
  return write("|payload_hash=", out);
}

// Replaces `signing` by the signing string of a canonical payload.
void build_signing_string(const Fields& fields, std::string_view canonical_d, std::string& signing) {
  signing.resize(signing_bound(fields) + kHexDigest);
  char* const end = write_hex(bytes(sha256(canonical_d)), write_signing_string(fields, signing.data()));
  signing.resize(static_cast<std::size_t>(end - signing.data()));
}

void append_string(std::string_view text, std::string& out) {
  Fault fault;
  if (!append_json_string(text, out, fault)) {
    throw Error(ErrorKind::invalid_argument, "a field of the envelope is not UTF-8");
  }
}

// The members in canonical order, which is how the canonicalizer hands them over.
enum Position { kD, kKid, kSender, kSig, kStreamId, kType, kTs, kTxnId, kVersion, kMembers };
constexpr std::array<std::string_view, kMembers> kNames = {"d", "kid", "s",      "sig", "stream_id",
                                                           "t", "ts",  "txn_id", "v"};

// An envelope taken apart; its strings live in the canonical text or in `unescaped`.
struct Opened {
  Fields fields;
  std::string_view kid;
  std::string_view d;
  Signature sig;
};

struct Buffers {
  std::string canonical;
  std::string unescaped;
  std::string signing;
};

bool open_envelope(std::string_view json, CancelFlag cancel, Buffers& buffers, Opened& out) {
  ScratchLease lease;
  bool is_object = false;
  const std::span<Member> members =
      canonicalize_members(json, buffers.canonical, Numbers::exact, cancel, *lease, is_object);
  if (!is_object || members.size() != kMembers) return false;
  std::array<std::string_view, kMembers> values;
  for (std::size_t i = 0; i < kMembers; ++i) {
    if (members[i].key != kNames[i]) return false;
    const std::size_t begin = members[i].begin + kNames[i].size() + 3;  // behind the quotes and the colon
    values[i] = std::string_view(buffers.canonical).substr(begin, members[i].end - begin);
  }
  if (values[kVersion] != "1") return false;

  const auto text = [&](Position position, std::string_view& into) {
    std::string_view value = values[position];
    if (!value.starts_with('"')) return false;
    value = value.substr(1, value.size() - 2);
    if (value.find('\\') == std::string_view::npos) {
      into = value;
    } else {
      // Reserved whole at the first such string, so that the views of earlier ones stay good.
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
  return is_kid(out.kid) && out.sig.read_hex(sig);
}

}  // namespace

void append_signing_string(const Fields& fields, std::string_view payload_hash, std::string& out) {
  require_field("payload_hash", payload_hash);
  const std::size_t start = out.size();
  out.resize(start + signing_bound(fields) + payload_hash.size());
  char* const end = write(payload_hash, write_signing_string(fields, out.data() + start));
  out.resize(static_cast<std::size_t>(end - out.data()));
}

Signature sign_payload(const Fields& fields, std::string_view canonical_d, const Key& key, std::string& signing) {
  build_signing_string(fields, canonical_d, signing);
  return key.sign(signing);
}

void append_envelope(const Fields& fields, std::string_view kid, std::string_view canonical_d, std::string_view sig,
                     std::string& out) {
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
  out += ",\"d\":";
  out += canonical_d;
  out += ",\"sig\":\"";
  append_hex(sig, out);
  out += "\"}";
}

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::malformed:
      return "malformed";
    case Verdict::unknown_kid:
      return "unknown_kid";
    case Verdict::bad_signature:
      return "bad_signature";
    case Verdict::expired:
      return "expired";
    case Verdict::from_future:
      return "from_future";
  }
  return "malformed";
}

Verdict verify_envelope(std::string_view json, std::int64_t now_ms, std::optional<std::int64_t> max_age_ms,
                        FindKey find_key, void* context, CancelFlag cancel) {
  try {
    Buffers buffers;
    Opened envelope;
    if (!open_envelope(json, cancel, buffers, envelope)) return Verdict::malformed;
    // Checks the fields' rules, whoever signed.
    build_signing_string(envelope.fields, envelope.d, buffers.signing);
    const Key* const key = find_key(envelope.kid, context);
    if (key == nullptr) return Verdict::unknown_kid;
    if (!key->verify(buffers.signing, envelope.sig)) return Verdict::bad_signature;
    // The time is worth a look only once the signature vouches for it.
    const std::int64_t age = now_ms - envelope.fields.ts;
    if (age < -kMaxClockSkewMs) return Verdict::from_future;
    if (max_age_ms && age > *max_age_ms) return Verdict::expired;
    return Verdict::ok;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    return Verdict::malformed;
  }
}

}  // namespace sealcast::core
