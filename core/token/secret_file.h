// Reads secrets from files. Settings name the file and never contain the secret, as Docker and Kubernetes mount
// secrets.
#pragma once

#include <string>

namespace sealcast::core::token {

// Returns the content of the file without one trailing newline. `key`: the name of the setting. Throws SettingsError,
// which names `key`, the path and the fix, if the file is unreadable, not a regular file, empty or over 64 KiB.
std::string read_secret_file(const std::string& key, const std::string& path);

// As read_secret_file(), for a secret that signs: refuses also fewer than kMinSecretBytes (core/keyring.h).
std::string read_signing_secret(const std::string& key, const std::string& path);

}  // namespace sealcast::core::token
