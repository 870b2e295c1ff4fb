// An API key of Ably: "app.key:secret".
#pragma once

#include <string>
#include <string_view>

#include "config/settings.h"

namespace sealcast::transport::ably {

struct ApiKey {
  std::string text;
  std::string_view name() const { return std::string_view(text).substr(0, text.find(':')); }
  std::string_view secret() const { return std::string_view(text).substr(text.find(':') + 1); }
};

// The setting that names the file of the key of readers' tokens, and the file.
struct TokenKey {
  std::string setting;
  std::string file;
};
TokenKey token_key(const config::Settings::Ably& settings);

// Throws SettingsError when the file cannot be read or contains no key. `setting` is the key of the setting, for the
// text of the error.
ApiKey read_key(const std::string& setting, const std::string& file);

}  // namespace sealcast::transport::ably
