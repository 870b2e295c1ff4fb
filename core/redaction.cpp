// Writes the redacted form of sealed envelopes, and the member `redacted` of frames.
#include "core/redaction.h"

#include "core/digest.h"
#include "core/envelope.h"
#include "core/error.h"
#include "core/json_string.h"

namespace sealcast::core {
namespace {

constexpr std::string_view kPayload = ",\"d\":";
constexpr std::string_view kSignature = ",\"sig\":\"";

void append_text(std::optional<std::string_view> text, std::string& out) {
  if (!text) {
    out += "null";
    return;
  }
  Fault fault;
  if (!append_json_string(*text, out, fault)) {
    throw Error(ErrorKind::invalid_argument, "a text of a redaction is not valid UTF-8");
  }
}

// Returns the place of ,"d": in a sealed envelope. The members before it cannot contain a quote in their values.
std::size_t payload_at(std::string_view envelope) { return envelope.find(kPayload); }

}  // namespace

void append_redaction(std::optional<std::string_view> by, std::int64_t at, std::optional<std::string_view> reason,
                      std::string& out) {
  out += "{\"by\":";
  append_text(by, out);
  out += ",\"at\":" + std::to_string(at) + ",\"reason\":";
  append_text(reason, out);
  out += '}';
}

bool is_redacted(std::string_view envelope) {
  const std::size_t at = payload_at(envelope);
  return at != envelope.npos && envelope.substr(at).starts_with(kRedactedPayload);
}

bool append_redacted_form(std::string_view envelope, std::string& out) {
  const std::size_t at = payload_at(envelope);
  // `d` may contain any text, so the signature, the last member, is searched backwards.
  const std::size_t end = envelope.rfind(kSignature);
  if (at == envelope.npos || end == envelope.npos || end < at + kPayload.size() || is_redacted(envelope)) return false;
  const std::size_t payload = at + kPayload.size();
  const Digest hash = sha256(envelope.substr(payload, end - payload));
  out += envelope.substr(0, at);
  out += kRedactedPayload;
  append_hex(bytes(hash), out);
  out += '"';
  out += envelope.substr(end);
  return true;
}

}  // namespace sealcast::core
