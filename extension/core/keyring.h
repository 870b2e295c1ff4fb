// The keyring: a directory with one file a key, as Docker and Kubernetes mount secrets.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "digest.h"

namespace sealcast {

inline constexpr std::size_t kMaxKidLength = 32;
inline constexpr std::size_t kMinSecretBytes = 32;
inline constexpr std::size_t kMaxSecretBytes = 1024;
inline constexpr std::size_t kMaxKeys = 64;

struct Key {
  std::string kid;
  std::string secret;  // wiped when the key goes
  HmacKey hmac;
  std::string fingerprint;  // the first 16 hex digits of SHA-256 of the secret

  Key(std::string kid, std::string secret);
  ~Key();
  Key(Key&&) noexcept = default;
  Key& operator=(Key&&) noexcept;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
};

class Keyring {
 public:
  // Throws Error{invalid_argument} for a kid outside [A-Za-z0-9_-]{1,32}, a secret under 32 or over 1024 bytes, a
  // kid that is there already, or a 65th key.
  void add(std::string kid, std::string secret);

  const Key* find(std::string_view kid) const noexcept;            // null when absent
  const std::vector<Key>& keys() const noexcept { return keys_; }  // sorted by kid

 private:
  std::vector<Key> keys_;
};

struct LoadedKeyring {
  Keyring keyring;
  std::vector<std::string> warnings;  // e.g. a file that others may read; names the file, never its content
};

// Reads every file of `directory` whose name does not begin with a dot, following symlinks; the name is the kid, the
// content the secret, one trailing newline ignored. Throws Error{bad_keyring} naming the file and the mend: not a
// directory, unreadable, not a regular file, a name that is no kid, a secret too short or long, a file that others
// may write (or read, when `strict`). An empty directory is an empty keyring.
LoadedKeyring load_keyring(const std::string& directory, bool strict);

bool is_kid(std::string_view text) noexcept;

}  // namespace sealcast
