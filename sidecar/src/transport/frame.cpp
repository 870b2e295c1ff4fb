// Writes frames as JSON, and reads members of an envelope without parsing the JSON.
#include "transport/frame.h"

#include <charconv>

namespace sealcast::transport {

namespace {

constexpr std::string_view kGone = ",\"gone\":true}";

}  // namespace

void append_frame(std::int64_t offset, std::int64_t prev, std::string_view envelope, std::string& out) {
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
  out += ",\"envelope\":";
  out += envelope;
  out += '}';
}

// A frame with an envelope ends with the quote of the signature and two braces.
bool is_gone(std::string_view frame) { return frame.ends_with(kGone); }

// A search for the member's name is safe: the members of an envelope have a fixed order, and no value before `ts` can
// contain a quote. So the name cannot occur inside an earlier value.
std::optional<std::int64_t> envelope_ts(std::string_view text) {
  constexpr std::string_view kMember = "\"ts\":";
  const std::size_t at = text.find(kMember);
  if (at == text.npos) return std::nullopt;
  std::int64_t value = 0;
  const char* const first = text.data() + at + kMember.size();
  if (std::from_chars(first, text.data() + text.size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

namespace {

// `name` includes its quotes, the colon, and the quote that opens the value.
std::string_view text_member(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == text.npos) return {};
  const std::size_t first = at + name.size();
  return text.substr(first, text.find('"', first) - first);
}

}  // namespace

std::string_view envelope_kid(std::string_view text) { return text_member(text, "\"kid\":\""); }

std::string_view envelope_type(std::string_view text) { return text_member(text, "\"t\":\""); }

std::string_view envelope_sender(std::string_view text) { return text_member(text, "\"s\":\""); }

// The signature is the last member, and `d` before it may contain anything. So the search goes backwards.
std::string_view envelope_sig(std::string_view text) {
  constexpr std::string_view kMember = "\"sig\":\"";
  const std::size_t at = text.rfind(kMember);
  if (at == text.npos) return {};
  const std::size_t first = at + kMember.size();
  return text.substr(first, text.find('"', first) - first);
}

}  // namespace sealcast::transport
