// Secrets are named by path, never given: one file, one secret, as Docker and Kubernetes mount them.
#pragma once

#include <string>

namespace sealcast::core::token {

// The file's content without one trailing newline. Throws SettingsError naming `key`, the path and the fix: unreadable,
// not a regular file, empty, over 64 KiB.
std::string read_secret_file(const std::string& key, const std::string& path);

// The same of a secret that signs: one that is too short for that is refused too.
std::string read_signing_secret(const std::string& key, const std::string& path);

}  // namespace sealcast::core::token
