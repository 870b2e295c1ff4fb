// Reading the key's file.
#include "transport/ably/key.h"

#include <openssl/evp.h>

#include <algorithm>

#include "config/secret_file.h"
#include "config/settings.h"

namespace sealcast::ably {

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // with room for the terminator
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

ApiKey read_key(const std::string& setting, const std::string& file) {
  std::string key = read_secret_file(setting, file);
  const bool visible = std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (visible && key.find(':') != key.npos) return {std::move(key)};
  throw SettingsError(setting + ": the file \"" + file + "\" holds no API key; write one such as " +
                      "\"app.key:secret\" into it, and nothing else");
}

}  // namespace sealcast::ably
