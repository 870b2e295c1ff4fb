// Writes JSON for responses, requests and log lines. JSON that is signed comes from core/canonical_json.h instead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sealcast {

// Appends `text` as a JSON string with its quotes. A byte that is not part of valid UTF-8 becomes U+FFFD.
void append_json_string(std::string_view text, std::string& out);

// Appends an object member by member: JsonObject(out).text("code", code).number("limit", 5).end().
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }

  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& text_or_null(std::string_view name, std::string_view value);  // writes null for an empty value
  JsonObject& number(std::string_view name, std::int64_t value);
  JsonObject& number(std::string_view name, double value);  // writes null for NaN and infinities: JSON has neither
  JsonObject& boolean(std::string_view name, bool value);
  JsonObject& json(std::string_view name, std::string_view value);  // `value` is a JSON text
  void end() { out_ += '}'; }

 private:
  void begin_member(std::string_view name);

  std::string& out_;
  bool first_ = true;
};

}  // namespace sealcast
