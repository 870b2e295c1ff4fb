// Reads announcements of redactions, and replaces the content of frames by its hash.
#include "transport/redaction.h"

#include <simdjson.h>

#include "core/redaction.h"
#include "transport/frame.h"

namespace sealcast::transport {
namespace {

std::optional<std::string_view> text_or_null(simdjson::dom::object object, std::string_view name) {
  std::string_view value;
  if (object[name].get(value) != simdjson::SUCCESS) return std::nullopt;
  return value;
}

std::int64_t number(simdjson::dom::object object, std::string_view name) {
  std::int64_t value = 0;
  return object[name].get(value) == simdjson::SUCCESS ? value : 0;
}

bool concerns(const Redaction& redaction, std::string_view frame) {
  if (envelope_sender(frame) != redaction.sender_id) return false;
  if (!redaction.txn_id.empty()) return envelope_txn(frame) == redaction.txn_id;
  // A message may get a greater offset with an older `ts`. Postgres has not erased it.
  if (frame_offset(frame).value_or(redaction.offset) >= redaction.offset) return false;
  const std::int64_t ts = envelope_ts(frame).value_or(-1);
  return redaction.since <= ts && ts <= redaction.through;
}

}  // namespace

RedactionPtr announced_redaction(std::string_view envelope, std::int64_t offset) {
  const std::string_view t = envelope_type(envelope);
  if (!core::announces_redaction(t)) return nullptr;
  simdjson::dom::parser parser;
  simdjson::dom::object whole, d;
  if (parser.parse(simdjson::padded_string(envelope)).get(whole) != simdjson::SUCCESS ||
      whole["d"].get(d) != simdjson::SUCCESS) {
    return nullptr;
  }
  auto redaction = std::make_shared<Redaction>();
  redaction->offset = offset;
  redaction->stream_id = text_or_null(whole, "stream_id").value_or("");
  core::append_redaction(text_or_null(d, "by"), number(whole, "ts"), text_or_null(d, "reason"), redaction->member);
  if (t == core::kMessageRedacted) {
    redaction->sender_id = text_or_null(d, "sender_id").value_or("");
    redaction->txn_id = text_or_null(d, "txn_id").value_or("");
    redaction->since = redaction->through = number(d, "ts");
    if (redaction->txn_id.empty()) return nullptr;
  } else {
    redaction->sender_id = text_or_null(d, "user_id").value_or("");
    redaction->since = number(d, "since");
    redaction->through = number(d, "through");
  }
  return redaction->sender_id.empty() ? nullptr : redaction;
}

std::optional<std::string> redacted_frame(std::string_view frame, const Redaction& redaction) {
  if (!concerns(redaction, frame)) return std::nullopt;
  const std::string_view envelope = frame_envelope(frame);
  if (envelope.empty()) return std::nullopt;
  std::string redacted(frame.substr(0, static_cast<std::size_t>(envelope.data() - frame.data())));
  if (!core::append_redacted_form(envelope, redacted)) return std::nullopt;
  append_redacted_member(redaction.member, redacted);
  return redacted;
}

}  // namespace sealcast::transport
