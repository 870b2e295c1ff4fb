// Reads secret files of limited size. Error messages contain the fix and never contain the secret.
#include "core/token/secret_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/keyring.h"
#include "core/settings_error.h"

namespace sealcast::core::token {

std::string read_secret_file(const std::string& key, const std::string& path) {
  constexpr std::size_t kMaxBytes = 64 * 1024;
  const auto failure = [&](const std::string& problem, const std::string& fix) {
    return SettingsError(key + ": the file \"" + path + "\" " + problem + "; " + fix);
  };
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (status.type() != std::filesystem::file_type::regular && std::filesystem::exists(status)) {
    throw failure("is not a regular file", "name the file that contains the secret");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw failure(std::string("cannot be read (") + std::strerror(errno) + ")",
                  "create it, or let the program's user read it");
  }
  std::string secret(kMaxBytes + 1, '\0');
  file.read(secret.data(), static_cast<std::streamsize>(secret.size()));
  secret.resize(static_cast<std::size_t>(file.gcount()));
  if (secret.size() > kMaxBytes) throw failure("is over 64 KiB", "name a file that contains only the secret");
  if (!secret.empty() && secret.back() == '\n') secret.pop_back();
  if (secret.empty()) throw failure("is empty", "write the secret to the file");
  return secret;
}

std::string read_signing_secret(const std::string& key, const std::string& path) {
  std::string secret = read_secret_file(key, path);
  if (secret.size() >= kMinSecretBytes) return secret;
  throw SettingsError(key + ": the secret is shorter than " + std::to_string(kMinSecretBytes) +
                      " bytes; make a new one, for example by `openssl rand -hex 32`");
}

}  // namespace sealcast::core::token
