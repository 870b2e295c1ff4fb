// Writes JSON strings and objects.
#include "base/json.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "core/json_string.h"

namespace sealcast {

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    const auto byte = static_cast<unsigned char>(*at);
    const char* next = at + 1;
    if (byte >= 0x80) {
      const char* const sequence_end = core::multibyte_end(at, end);
      if (sequence_end == nullptr) {
        out += "\uFFFD";
      } else {
        out.append(at, sequence_end);
        next = sequence_end;
      }
    } else if (byte == '"' || byte == '\\') {
      out += '\\';
      out += *at;
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += *at;
    }
    at = next;
  }
  out += '"';
}

void JsonObject::begin_member(std::string_view name) {
  if (!first_) out_ += ',';
  first_ = false;
  append_json_string(name, out_);
  out_ += ':';
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  begin_member(name);
  append_json_string(value, out_);
  return *this;
}

JsonObject& JsonObject::text_or_null(std::string_view name, std::string_view value) {
  return value.empty() ? json(name, "null") : text(name, value);
}

JsonObject& JsonObject::number(std::string_view name, std::int64_t value) {
  begin_member(name);
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonObject& JsonObject::number(std::string_view name, double value) {
  if (!std::isfinite(value)) return json(name, "null");
  begin_member(name);
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

JsonObject& JsonObject::boolean(std::string_view name, bool value) { return json(name, value ? "true" : "false"); }

JsonObject& JsonObject::json(std::string_view name, std::string_view value) {
  begin_member(name);
  out_ += value;
  return *this;
}

}  // namespace sealcast
