// Loads the secrets of a keyring, refuses files that other users could have written, and wipes secrets after use.
#include "core/keyring.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "core/characters.h"
#include "core/error.h"

namespace sealcast::core {
namespace {

constexpr std::size_t kFingerprintDigits = 16;

void wipe(std::string& text) { OPENSSL_cleanse(text.data(), text.size()); }

struct WipedString {
  std::string text;
  ~WipedString() { wipe(text); }
};

struct File {
  int descriptor;
  ~File() { ::close(descriptor); }
};

[[noreturn]] void refuse(const std::string& path, const std::string& problem, const std::string& hint) {
  throw Error(ErrorKind::bad_keyring, "keyring: \"" + path + "\" " + problem, {}, hint);
}

[[noreturn]] void refuse_errno(const std::string& path, const char* problem, const std::string& hint) {
  refuse(path, std::string(problem) + ": " + std::strerror(errno), hint);
}

std::vector<std::string> names_in(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  const char* const hint = "Name a directory that the server's user can read, with one file per key.";
  if (stream == nullptr) refuse_errno(directory, "cannot be opened", hint);
  struct stat state;
  struct statvfs filesystem;
  if (::fstat(::dirfd(stream.get()), &state) != 0 || ::fstatvfs(::dirfd(stream.get()), &filesystem) != 0) {
    refuse_errno(directory, "cannot be inspected", hint);
  }
  // Kubernetes mounts secrets as a directory of mode 1777 on a read-only file system.
  if ((state.st_mode & S_IWOTH) != 0 && (filesystem.f_flag & ST_RDONLY) == 0) {
    refuse(directory, "is writable by others, who could add keys", "Remove this permission: chmod o-w.");
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    if (names.size() > kMaxKeys) {
      refuse(directory, "contains more than " + std::to_string(kMaxKeys) + " keys",
             "Remove keys whose messages are no longer in use.");
    }
    errno = 0;
  }
  if (errno != 0) refuse_errno(directory, "cannot be read", hint);
  std::sort(names.begin(), names.end());
  return names;
}

// Reads at most two bytes more than the maximum: one for a trailing newline, and one that shows that the secret is too
// long. Allocates the memory once, because a reallocation would leave a copy of the secret in the freed memory.
void read_secret(int descriptor, const std::string& path, std::string& secret) {
  secret.resize(kMaxSecretBytes + 2);
  std::size_t size = 0;
  while (size < secret.size()) {
    const ssize_t got = ::read(descriptor, secret.data() + size, secret.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse_errno(path, "cannot be read", "Check the disk.");
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  secret.resize(size);
  if (secret.ends_with('\n')) secret.pop_back();
}

// `secret` is the content of a file KID.ed25519. Replaces it with the seed from the PEM.
void read_seed(const std::string& path, std::string& secret) {
  WipedString seed;
  if (!read_ed25519_pem(secret, seed.text)) {
    refuse(path, "contains no Ed25519 private key in PEM",
           "Make a key with: openssl genpkey -algorithm ed25519. It must not be encrypted.");
  }
  std::swap(secret, seed.text);
}

std::variant<HmacKey, Ed25519Key> signer_of(std::string_view secret, Algorithm algorithm) {
  if (algorithm == Algorithm::ed25519) return Ed25519Key(secret);
  return HmacKey(secret);
}

}  // namespace

std::string_view to_string(Algorithm algorithm) noexcept {
  return algorithm == Algorithm::ed25519 ? "ed25519" : "hmac-sha256";
}

Key::Key(std::string kid_text, std::string secret_text, Algorithm algorithm)
    : kid(std::move(kid_text)), secret(std::move(secret_text)), signer_(signer_of(secret, algorithm)) {
  const Ed25519PublicKey* const half = public_key();
  const Digest digest =
      half != nullptr ? sha256({reinterpret_cast<const char*>(half->data()), half->size()}) : sha256(secret);
  fingerprint = to_hex(digest).substr(0, kFingerprintDigits);
}

Key::~Key() { wipe(secret); }

Algorithm Key::algorithm() const noexcept {
  return std::holds_alternative<Ed25519Key>(signer_) ? Algorithm::ed25519 : Algorithm::hmac_sha256;
}

Signature Key::sign(std::string_view message) const {
  if (const auto* hmac = std::get_if<HmacKey>(&signer_)) return Signature(hmac->sign(message));
  return Signature(std::get<Ed25519Key>(signer_).sign(message));
}

bool Key::verify(std::string_view message, const Signature& signature) const {
  if (const auto* hmac = std::get_if<HmacKey>(&signer_)) {
    Digest mac;
    return signature.copy_to(mac) && equal_in_constant_time(hmac->sign(message), mac);
  }
  Ed25519Signature given;
  return signature.copy_to(given) && std::get<Ed25519Key>(signer_).verify(message, given);
}

const Ed25519PublicKey* Key::public_key() const noexcept {
  const auto* const pair = std::get_if<Ed25519Key>(&signer_);
  return pair == nullptr ? nullptr : &pair->public_key();
}

// Swaps, because a move assignment of std::string could free the old secret without wiping it. After the swap, the
// destructor of `other` wipes the old secret.
Key& Key::operator=(Key&& other) noexcept {
  std::swap(kid, other.kid);
  std::swap(secret, other.secret);
  std::swap(fingerprint, other.fingerprint);
  std::swap(signer_, other.signer_);
  return *this;
}

bool is_kid(std::string_view text) noexcept {
  if (text.empty() || text.size() > kMaxKidLength) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || c == '_' || c == '-'; });
}

void Keyring::add(std::string kid, std::string secret, Algorithm algorithm) {
  WipedString wiped{std::move(secret)};
  const auto refuse_argument = [](const std::string& message, const char* hint) {
    throw Error(ErrorKind::invalid_argument, message, {}, hint);
  };
  if (!is_kid(kid)) {
    refuse_argument("\"" + kid + "\" is not a key id",
                    "A key id has 1 to 32 of the characters A-Z, a-z, 0-9, _ and -.");
  }
  if (wiped.text.size() < kMinSecretBytes || wiped.text.size() > kMaxSecretBytes) {
    refuse_argument("the secret of key \"" + kid + "\" has " + std::to_string(wiped.text.size()) + " bytes",
                    "A secret has 32 to 1024 bytes. Make one with: openssl rand -hex 32.");
  }
  if (algorithm == Algorithm::ed25519 && wiped.text.size() != kEd25519Seed) {
    refuse_argument("the seed of key \"" + kid + "\" has " + std::to_string(wiped.text.size()) + " bytes",
                    "An Ed25519 seed has 32 bytes.");
  }
  const auto place = std::lower_bound(keys_.begin(), keys_.end(), kid,
                                      [](const Key& key, const std::string& text) { return key.kid < text; });
  if (place != keys_.end() && place->kid == kid) {
    refuse_argument("duplicate key id \"" + kid + "\"", "A key id names one key. Remove or rename one of the two.");
  }
  if (keys_.size() == kMaxKeys) refuse_argument("the keyring already has 64 keys", "Remove a key first.");
  keys_.insert(place, Key(std::move(kid), std::move(wiped.text), algorithm));
}

const Key* Keyring::find(std::string_view kid) const noexcept {
  const auto place = std::lower_bound(keys_.begin(), keys_.end(), kid,
                                      [](const Key& key, std::string_view text) { return key.kid < text; });
  return place != keys_.end() && place->kid == kid ? &*place : nullptr;
}

LoadedKeyring load_keyring(const std::string& directory, bool strict) {
  LoadedKeyring loaded;
  for (const std::string& name : names_in(directory)) {
    const std::string path = directory + "/" + name;
    // Follows symlinks, because Kubernetes replaces secrets by changing a symlink. O_NONBLOCK keeps a FIFO from
    // blocking the server.
    const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.descriptor < 0)
      refuse_errno(path, "cannot be opened", "Let the server's user read this file, or remove it.");
    struct stat state;
    if (::fstat(file.descriptor, &state) != 0) refuse_errno(path, "cannot be inspected", "");
    if (!S_ISREG(state.st_mode))
      refuse(path, "is not a regular file", "A keyring has one file per key. Remove this one.");
    if ((state.st_mode & S_IWOTH) != 0) {
      refuse(path, "is writable by others",
             "Others may know or have set the secret. Replace it, then remove the permission: chmod o-rwx.");
    }
    if ((state.st_mode & S_IROTH) != 0) {
      if (strict) refuse(path, "is readable by others", "Remove this permission: chmod o-rwx.");
      loaded.warnings.push_back("keyring: \"" + path + "\" is readable by others");
    }
    WipedString secret;
    read_secret(file.descriptor, path, secret.text);
    const bool is_pem = name.ends_with(kEd25519Ending);
    if (is_pem) {
      read_seed(path, secret.text);
    } else if (secret.text.starts_with("-----BEGIN ")) {
      // A public key must not become an HMAC secret: everybody who knows the public key could sign.
      refuse(path, "contains PEM, which is not an HMAC secret",
             "Rename an Ed25519 private key to KID.ed25519, or make a secret with: openssl rand -hex 32.");
    }
    try {
      std::string kid = is_pem ? name.substr(0, name.size() - kEd25519Ending.size()) : name;
      loaded.keyring.add(std::move(kid), std::move(secret.text), is_pem ? Algorithm::ed25519 : Algorithm::hmac_sha256);
    } catch (const Error& error) {
      throw Error(ErrorKind::bad_keyring, "keyring: \"" + path + "\": " + error.what(), error.detail(), error.hint());
    }
  }
  return loaded;
}

}  // namespace sealcast::core
