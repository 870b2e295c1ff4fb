// The keyring: a directory with one file a key, as Docker and Kubernetes mount secrets.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/digest.h"
#include "core/ed25519.h"
#include "core/signature.h"

namespace sealcast::core {

inline constexpr std::size_t kMaxKidLength = 32;
inline constexpr std::string_view kEd25519Ending = ".ed25519";
inline constexpr std::size_t kMinSecretBytes = 32;
inline constexpr std::size_t kMaxSecretBytes = 1024;
inline constexpr std::size_t kMaxKeys = 64;

enum class Algorithm : unsigned char { hmac_sha256, ed25519 };
std::string_view to_string(Algorithm algorithm) noexcept;

// One kid, one secret, one algorithm: nothing that an envelope says chooses another.
struct Key {
  std::string kid;
  std::string secret;       // of Ed25519 the seed; wiped when the key goes
  std::string fingerprint;  // the first 16 hex digits of SHA-256 of the secret, of Ed25519 of the public key

  Key(std::string kid, std::string secret, Algorithm algorithm = Algorithm::hmac_sha256);
  ~Key();
  Key(Key&&) noexcept = default;
  Key& operator=(Key&&) noexcept;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  Algorithm algorithm() const noexcept;
  Signature sign(std::string_view message) const;
  // Takes the same time wherever a MAC differs. A signature that has another algorithm's size is not this key's.
  bool verify(std::string_view message, const Signature& signature) const;
  const Ed25519PublicKey* public_key() const noexcept;  // null for HMAC, which has none

 private:
  std::variant<HmacKey, Ed25519Key> signer_;
};

class Keyring {
 public:
  // Throws Error{invalid_argument} for a kid outside [A-Za-z0-9_-]{1,32}, a secret under 32 or over 1024 bytes (an
  // Ed25519 seed has 32), a kid that is there already under whichever algorithm, or a 65th key.
  void add(std::string kid, std::string secret, Algorithm algorithm = Algorithm::hmac_sha256);

  const Key* find(std::string_view kid) const noexcept;            // null when absent
  const std::vector<Key>& keys() const noexcept { return keys_; }  // sorted by kid

 private:
  std::vector<Key> keys_;
};

struct LoadedKeyring {
  Keyring keyring;
  std::vector<std::string> warnings;  // e.g. a file that others may read; names the file, never its content
};

// Reads every file of `directory` whose name does not begin with a dot, following symlinks. KID holds a secret for
// HMAC, one trailing newline ignored; KID.ed25519 a private key in PEM. Throws Error{bad_keyring} naming the file and
// the mend: not a directory, unreadable, not a regular file, a name that is no kid, a kid with both files, a secret too
// short or long, PEM without an Ed25519 key or in a file of another name, a file that others may write (or read, when
// `strict`). An empty directory is an empty keyring.
LoadedKeyring load_keyring(const std::string& directory, bool strict);

bool is_kid(std::string_view text) noexcept;

}  // namespace sealcast::core
