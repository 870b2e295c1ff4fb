// An API key of Ably's, "app.key:secret", and the base64 that it and signatures travel in.
#pragma once

#include <string>
#include <string_view>

namespace sealcast::ably {

struct ApiKey {
  std::string text;
  std::string_view name() const { return std::string_view(text).substr(0, text.find(':')); }
  std::string_view secret() const { return std::string_view(text).substr(text.find(':') + 1); }
};

// Throws SettingsError naming `setting` when the file cannot be read or holds no key.
ApiKey read_key(const std::string& setting, const std::string& file);

std::string base64(std::string_view bytes);

}  // namespace sealcast::ably
