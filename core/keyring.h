// The keyring: the keys of one directory with one file per key, as Docker and Kubernetes mount secrets.
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

// A key has one id, one secret and one algorithm. An envelope selects a key, but cannot select another algorithm.
struct Key {
  std::string kid;
  std::string secret;       // for Ed25519: the seed. The destructor wipes it
  std::string fingerprint;  // the first 16 hex digits of SHA-256 of the secret (Ed25519: of the public key)

  Key(std::string kid, std::string secret, Algorithm algorithm = Algorithm::hmac_sha256);
  ~Key();
  Key(Key&&) noexcept = default;
  Key& operator=(Key&&) noexcept;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  Algorithm algorithm() const noexcept;
  Signature sign(std::string_view message) const;
  // For HMAC, the time does not depend on the place where two MACs differ. Returns false for a signature that has the
  // size of another algorithm.
  bool verify(std::string_view message, const Signature& signature) const;
  const Ed25519PublicKey* public_key() const noexcept;  // null for HMAC

 private:
  std::variant<HmacKey, Ed25519Key> signer_;
};

class Keyring {
 public:
  // Adds a key. Pointers that find() has returned are invalid after that. Throws Error{invalid_argument} for a key id
  // outside [A-Za-z0-9_-]{1,32}, a secret under 32 or over 1024 bytes (an Ed25519 seed must have 32 bytes), a key id
  // that the keyring already has under any algorithm, or a 65th key.
  void add(std::string kid, std::string secret, Algorithm algorithm = Algorithm::hmac_sha256);

  const Key* find(std::string_view kid) const noexcept;            // null if unknown
  const std::vector<Key>& keys() const noexcept { return keys_; }  // sorted by kid

 private:
  std::vector<Key> keys_;
};

struct LoadedKeyring {
  Keyring keyring;
  std::vector<std::string> warnings;  // one per file that others can read; it names the file, but not its content
};

// Reads all files of `directory` whose names do not begin with a dot, and follows symlinks. A file named KID contains
// an HMAC secret; one trailing newline is ignored. A file named KID.ed25519 contains an Ed25519 private key in PEM. An
// empty directory is an empty keyring. Throws Error{bad_keyring}, which names the file and the fix, for: a path that is
// not a directory, a directory that others can write (unless its file system is read-only), more than kMaxKeys files,
// an unreadable file, a file that is not regular, a name that is not a key id, a key id with both files, a secret that
// is too short or too long, PEM without an Ed25519 key, PEM in a file without the ending .ed25519, and a file that
// others can write. A file that others can read is an error if `strict`, otherwise a warning.
LoadedKeyring load_keyring(const std::string& directory, bool strict);

bool is_kid(std::string_view text) noexcept;

}  // namespace sealcast::core
