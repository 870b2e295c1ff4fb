// Writes frames as JSON, and reads members of an envelope without parsing the JSON.
#include "transport/frame.h"

#include <charconv>
#include <utility>

#include "core/redaction.h"

namespace sealcast::transport {

namespace {

constexpr std::string_view kGone = ",\"gone\":true}";
constexpr std::string_view kEnvelope = ",\"envelope\":";

}  // namespace

void append_redacted_member(std::string_view redacted, std::string& out) {
  out += ",\"redacted\":";
  out += redacted;
  out += '}';
}

void append_frame(std::int64_t offset, std::int64_t prev, std::string_view envelope, std::string_view redacted,
                  std::string& out) {
  auto number = [&out](std::int64_t value) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  };
  out.reserve(out.size() + envelope.size() + 64);
  out += "{\"offset\":";
  number(offset);
  out += ",\"prev\":";
  number(prev);
  if (envelope.empty()) {
    out += kGone;
    return;
  }
  out += kEnvelope;
  out += envelope;
  if (!redacted.empty()) return append_redacted_member(redacted, out);
  out += '}';
}

FramePtr make_frame(Frame frame, std::string_view envelope, std::string_view redacted) {
  append_frame(frame.offset, frame.prev, envelope, redacted, frame.text);
  if (!envelope.empty()) frame.redaction = announced_redaction(envelope, frame.offset);
  return std::make_shared<const Frame>(std::move(frame));
}

// Only a redacted envelope is followed by another member, and it contains no text of a user.
std::string_view frame_envelope(std::string_view frame) {
  const std::size_t at = frame.find(kEnvelope);
  if (at == frame.npos || !frame.ends_with('}')) return {};
  const std::string_view rest = frame.substr(at + kEnvelope.size(), frame.size() - at - kEnvelope.size() - 1);
  if (!core::is_redacted(rest)) return rest;
  const std::size_t end = rest.find('}');
  return rest.substr(0, end == rest.npos ? end : end + 1);
}

// A frame with an envelope ends with the quote of the signature and two braces.
bool is_gone(std::string_view frame) { return frame.ends_with(kGone); }

// A search for a member's name is safe: the members of a frame and of its envelope have a fixed order, and no value
// before `d` can contain a quote. So the name cannot occur inside an earlier value.
namespace {

// `name` includes its quotes and the colon.
std::optional<std::int64_t> number_member(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == text.npos) return std::nullopt;
  std::int64_t value = 0;
  const char* const first = text.data() + at + name.size();
  if (std::from_chars(first, text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

// `name` includes its quotes, the colon, and the quote that opens the value.
std::string_view text_member(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == text.npos) return {};
  const std::size_t first = at + name.size();
  return text.substr(first, text.find('"', first) - first);
}

}  // namespace

std::optional<std::int64_t> frame_offset(std::string_view frame) { return number_member(frame, "\"offset\":"); }

std::optional<std::int64_t> envelope_ts(std::string_view text) { return number_member(text, "\"ts\":"); }

std::string_view envelope_kid(std::string_view text) { return text_member(text, "\"kid\":\""); }

std::string_view envelope_type(std::string_view text) { return text_member(text, "\"t\":\""); }

std::string_view envelope_sender(std::string_view text) { return text_member(text, "\"s\":\""); }

std::string_view envelope_txn(std::string_view text) { return text_member(text, "\"txn_id\":\""); }

// The signature is the last member, and `d` before it may contain anything. So the search goes backwards.
std::string_view envelope_sig(std::string_view text) {
  constexpr std::string_view kMember = "\"sig\":\"";
  const std::size_t at = text.rfind(kMember);
  if (at == text.npos) return {};
  const std::size_t first = at + kMember.size();
  return text.substr(first, text.find('"', first) - first);
}

}  // namespace sealcast::transport
