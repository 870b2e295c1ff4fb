// Reads secrets from files. Settings contain the path of the file instead of the secret, because Docker and Kubernetes
// provide secrets as files.
#pragma once

#include <string>

namespace sealcast::core::token {

// Returns the content of the file without one trailing newline. `key`: the name of the setting. Throws SettingsError,
// which names `key`, the path and the fix, if the file is unreadable, not a regular file, empty or over 64 KiB.
std::string read_secret_file(const std::string& key, const std::string& path);

// Does the same as read_secret_file(), for a secret that signs. Refuses also a secret with fewer than kMinSecretBytes
// bytes (core/keyring.h).
std::string read_signing_secret(const std::string& key, const std::string& path);

}  // namespace sealcast::core::token
