// The table of all settings. It feeds the parser, --check-config, --print-settings and docs/settings.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/settings.h"

namespace sealcast::config {

// Returns nullopt for a valid value, otherwise a text with the problem and the fix: "is …; write …".
using Check = std::optional<std::string> (*)(const std::string& value);

std::string environment_name(std::string_view path);  // gate.timeout_ms → SEALCAST_GATE_TIMEOUT_MS

struct Setting {
  using Text = std::string& (*)(Settings&);
  using Number = std::int32_t& (*)(Settings&);
  using Size = std::size_t& (*)(Settings&);
  using Milliseconds = std::chrono::milliseconds& (*)(Settings&);
  using Seconds = std::chrono::seconds& (*)(Settings&);
  using List = std::vector<std::string>& (*)(Settings&);

  std::string_view section;  // empty for a key above all sections
  std::string_view key;
  std::variant<Text, Number, Size, Milliseconds, Seconds, List> target;
  std::string_view fallback;  // the default as text, as an environment variable would set it
  std::int64_t min;           // minimum of a number or duration; not used for texts and lists
  std::int64_t max;
  Check check;  // for texts and for each item of a list; may be null
  std::string_view meaning;

  std::string path() const;  // gate.timeout_ms
  std::string environment() const { return environment_name(path()); }
  std::string_view unit() const;
  bool is_text() const { return std::holds_alternative<Text>(target); }
  bool is_list() const { return std::holds_alternative<List>(target); }
};

std::span<const Setting> settings_table();
const Setting* find_setting(std::string_view section, std::string_view key);  // returns null for an unknown key

}  // namespace sealcast::config
