// Reads an Ably API key from its file and checks its form.
#include "transport/ably/key.h"

#include <algorithm>

#include "core/token/secret_file.h"

namespace sealcast::transport::ably {

TokenKey token_key(const config::Settings::Ably& settings) {
  if (settings.token_key_file.empty()) return {"ably.key_file", settings.key_file};
  return {"ably.token_key_file", settings.token_key_file};
}

ApiKey read_key(const std::string& setting, const std::string& file) {
  std::string key = core::token::read_secret_file(setting, file);
  const bool visible = std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (visible && key.find(':') != key.npos) return {std::move(key)};
  throw core::SettingsError(setting + ": the file \"" + file + "\" does not contain an API key; write one such as " +
                            "\"app.key:secret\" into it, and nothing else");
}

}  // namespace sealcast::transport::ably
