// Loading secrets, refusing what others could have put there, and wiping what is no longer needed.
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

[[noreturn]] void refuse_errno(const std::string& path, const char* what, const std::string& hint) {
  refuse(path, std::string(what) + ": " + std::strerror(errno), hint);
}

std::vector<std::string> names_in(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  const char* const hint = "Name a directory that the server's user may read, with one file a key.";
  if (stream == nullptr) refuse_errno(directory, "cannot be opened", hint);
  struct stat state;
  struct statvfs filesystem;
  if (::fstat(::dirfd(stream.get()), &state) != 0 || ::fstatvfs(::dirfd(stream.get()), &filesystem) != 0) {
    refuse_errno(directory, "cannot be inspected", hint);
  }
  // Kubernetes mounts secrets as a directory of mode 1777 on a read-only file system.
  if ((state.st_mode & S_IWOTH) != 0 && (filesystem.f_flag & ST_RDONLY) == 0) {
    refuse(directory, "may be written by others, who could add a key of their own", "Take that right: chmod o-w.");
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    if (names.size() > kMaxKeys) {
      refuse(directory, "holds more than " + std::to_string(kMaxKeys) + " keys",
             "Remove keys that signed nothing still in use.");
    }
    errno = 0;
  }
  if (errno != 0) refuse_errno(directory, "cannot be read", hint);
  std::sort(names.begin(), names.end());
  return names;
}

// Everything up to the bound and one byte more, into memory that never moves and so leaves no copy behind.
void read_secret(int descriptor, const std::string& path, std::string& secret) {
  secret.resize(kMaxSecretBytes + 2);
  std::size_t size = 0;
  while (size < secret.size()) {
    const ssize_t got = ::read(descriptor, secret.data() + size, secret.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse_errno(path, "cannot be read", "See that the disk is well.");
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  secret.resize(size);
  if (secret.ends_with('\n')) secret.pop_back();
}

// The seed, for what a file KID.ed25519 holds.
void read_pem(const std::string& path, std::string& secret) {
  WipedString seed;
  if (!read_ed25519_pem(secret, seed.text)) {
    refuse(path, "holds no Ed25519 private key in PEM",
           "Make one with: openssl genpkey -algorithm ed25519. It must not be encrypted.");
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
  const Ed25519PublicKey* const shown = public_key();
  fingerprint =
      to_hex(shown != nullptr ? sha256({reinterpret_cast<const char*>(shown->data()), shown->size()}) : sha256(secret))
          .substr(0, kFingerprintDigits);
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

// A swap, so that no secret is let go of before its destructor wipes it.
Key& Key::operator=(Key&& other) noexcept {
  std::swap(kid, other.kid);
  std::swap(secret, other.secret);
  std::swap(fingerprint, other.fingerprint);
  std::swap(signer_, other.signer_);
  return *this;
}

bool is_kid(std::string_view text) noexcept {
  if (text.empty() || text.size() > kMaxKidLength) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

void Keyring::add(std::string kid, std::string secret, Algorithm algorithm) {
  WipedString held{std::move(secret)};
  const auto refuse_argument = [](const std::string& message, const char* hint) {
    throw Error(ErrorKind::invalid_argument, message, {}, hint);
  };
  if (!is_kid(kid)) {
    refuse_argument("\"" + kid + "\" is no key id", "A key id is 1 to 32 of A-Z, a-z, 0-9, _ and -.");
  }
  if (held.text.size() < kMinSecretBytes || held.text.size() > kMaxSecretBytes) {
    refuse_argument("the secret of key \"" + kid + "\" has " + std::to_string(held.text.size()) + " bytes",
                    "A secret has 32 to 1024 bytes; make one with: openssl rand -hex 32.");
  }
  if (algorithm == Algorithm::ed25519 && held.text.size() != kEd25519Seed) {
    refuse_argument("the seed of key \"" + kid + "\" has " + std::to_string(held.text.size()) + " bytes",
                    "A seed of Ed25519 has 32 bytes.");
  }
  const auto place = std::lower_bound(keys_.begin(), keys_.end(), kid,
                                      [](const Key& key, const std::string& text) { return key.kid < text; });
  if (place != keys_.end() && place->kid == kid) {
    refuse_argument("key \"" + kid + "\" is there already",
                    "A kid stands for one key: remove one of the two, or give it another name.");
  }
  if (keys_.size() == kMaxKeys) refuse_argument("a keyring holds no more than 64 keys", "");
  keys_.insert(place, Key(std::move(kid), std::move(held.text), algorithm));
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
    // Symlinks are followed, as that is how Kubernetes swaps secrets; NONBLOCK keeps a FIFO from hanging the server.
    const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.descriptor < 0) refuse_errno(path, "cannot be opened", "Let the server's user read it, or remove it.");
    struct stat state;
    if (::fstat(file.descriptor, &state) != 0) refuse_errno(path, "cannot be inspected", "");
    if (!S_ISREG(state.st_mode)) refuse(path, "is not a regular file", "A keyring holds one file a key; remove it.");
    if ((state.st_mode & S_IWOTH) != 0) {
      refuse(path, "may be written by others",
             "Replace the secret, which others may know or have set, then chmod o-rwx.");
    }
    if ((state.st_mode & S_IROTH) != 0) {
      if (strict) refuse(path, "may be read by others", "Take that right: chmod o-rwx.");
      loaded.warnings.push_back("keyring: \"" + path + "\" may be read by others");
    }
    WipedString secret;
    read_secret(file.descriptor, path, secret.text);
    const bool is_pem = name.ends_with(kEd25519Ending);
    if (is_pem) {
      read_pem(path, secret.text);
    } else if (secret.text.starts_with("-----BEGIN ")) {
      // As an HMAC secret a public key would let everybody sign.
      refuse(path, "holds PEM, which is no secret for HMAC",
             "An Ed25519 private key goes into KID.ed25519; a secret is made with: openssl rand -hex 32.");
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
