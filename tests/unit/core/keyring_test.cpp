// Tests keys, keyrings in memory, and keyring directories with each reason to refuse them.
#include "core/keyring.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "core/error.h"

namespace sealcast::core {
namespace {

namespace fs = std::filesystem;

const std::string kSecret(32, 's');

// The private key of RFC 8032 §7.1, TEST 1.
constexpr char kPem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
constexpr char kPublicKey[] = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

ErrorKind refusal_of_add(Keyring& ring, std::string kid, std::string secret) {
  try {
    ring.add(std::move(kid), std::move(secret));
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::interrupted;
}

TEST(Keyring, AddedKeysAreFoundAndSorted) {
  Keyring ring;
  for (const char* kid : {"m", "z", "a", "M_-9"}) ring.add(kid, kSecret + kid);
  ASSERT_EQ(ring.keys().size(), 4U);
  const char* const sorted[] = {"M_-9", "a", "m", "z"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(ring.keys()[i].kid, sorted[i]);
    const Key* const key = ring.find(sorted[i]);
    ASSERT_NE(key, nullptr);
    EXPECT_EQ(key->secret, kSecret + sorted[i]);
    EXPECT_EQ(key->sign("x").bytes(), bytes(HmacKey(key->secret).sign("x")));
    EXPECT_EQ(key->fingerprint, to_hex(sha256(key->secret)).substr(0, 16));
  }
  EXPECT_EQ(ring.find("q"), nullptr);
  EXPECT_EQ(ring.find(""), nullptr);
}

TEST(Keyring, InvalidKeysAndTheSixtyFifthAreRefused) {
  Keyring ring;
  for (const char* kid : {"", "a b", "a.b", "a/b", "\xC3\xA4", "123456789012345678901234567890123"}) {
    EXPECT_FALSE(is_kid(kid));
    EXPECT_EQ(refusal_of_add(ring, kid, kSecret), ErrorKind::invalid_argument) << kid;
  }
  EXPECT_TRUE(is_kid("12345678901234567890123456789012"));
  EXPECT_EQ(refusal_of_add(ring, "k", std::string(31, 's')), ErrorKind::invalid_argument);
  EXPECT_EQ(refusal_of_add(ring, "k", std::string(1025, 's')), ErrorKind::invalid_argument);
  ring.add("k", std::string(1024, 's'));
  EXPECT_EQ(refusal_of_add(ring, "k", kSecret), ErrorKind::invalid_argument);
  for (std::size_t i = 1; i < kMaxKeys; ++i) ring.add("k" + std::to_string(i), kSecret);
  EXPECT_EQ(refusal_of_add(ring, "one_more", kSecret), ErrorKind::invalid_argument);
}

TEST(Keyring, ASeedHas32BytesAndAKeyIdIsUnique) {
  Keyring ring;
  ring.add("hmac", kSecret);
  ring.add("pair", kSecret, Algorithm::ed25519);
  EXPECT_EQ(ring.find("hmac")->algorithm(), Algorithm::hmac_sha256);
  EXPECT_EQ(ring.find("pair")->algorithm(), Algorithm::ed25519);
  for (const Algorithm algorithm : {Algorithm::hmac_sha256, Algorithm::ed25519}) {
    EXPECT_THROW(ring.add("hmac", kSecret, algorithm), Error);
    EXPECT_THROW(ring.add("pair", kSecret, algorithm), Error);
  }
  for (const std::size_t size : {31, 33, 64}) {
    EXPECT_THROW(ring.add("other", std::string(size, 's'), Algorithm::ed25519), Error) << size;
  }
  EXPECT_EQ(to_string(Algorithm::hmac_sha256), "hmac-sha256");
  EXPECT_EQ(to_string(Algorithm::ed25519), "ed25519");
}

// The signature must be refused even if both keys are made from the same 32 bytes.
TEST(Key, ASignatureOfAnotherAlgorithmIsRefused) {
  const Key hmac("k", kSecret);
  const Key pair("k", kSecret, Algorithm::ed25519);
  EXPECT_EQ(hmac.public_key(), nullptr);
  ASSERT_NE(pair.public_key(), nullptr);
  EXPECT_NE(pair.fingerprint, hmac.fingerprint);
  const std::string shown(reinterpret_cast<const char*>(pair.public_key()->data()), pair.public_key()->size());
  EXPECT_EQ(pair.fingerprint, to_hex(sha256(shown)).substr(0, 16));

  const Signature mac = hmac.sign("x");
  const Signature signature = pair.sign("x");
  EXPECT_EQ(mac.bytes().size(), 32U);
  EXPECT_EQ(signature.bytes().size(), 64U);
  EXPECT_TRUE(hmac.verify("x", mac));
  EXPECT_TRUE(pair.verify("x", signature));
  EXPECT_FALSE(hmac.verify("x", signature));
  EXPECT_FALSE(pair.verify("x", mac));
  // The public key is not secret, so an HMAC with the public key as its secret must not verify.
  EXPECT_FALSE(pair.verify("x", Key("k", shown).sign("x")));

  const auto of = [](std::string_view bytes) {
    Signature made;
    std::string text;
    append_hex(bytes, text);
    EXPECT_TRUE(made.read_hex(text));
    return made;
  };
  EXPECT_FALSE(hmac.verify("x", of(std::string(mac.bytes()) + std::string(mac.bytes()))));
  EXPECT_FALSE(hmac.verify("x", of(std::string(mac.bytes()) + std::string(32, '\0'))));
  EXPECT_FALSE(pair.verify("x", of(signature.bytes().substr(0, 32))));
  EXPECT_FALSE(hmac.verify("x", Signature()));
  EXPECT_FALSE(pair.verify("x", Signature()));
}

TEST(Signature, Has64Or128LowerCaseHexDigits) {
  for (const std::size_t digits : {0, 2, 62, 63, 65, 66, 126, 127, 129, 130, 256}) {
    Signature signature;
    EXPECT_FALSE(signature.read_hex(std::string(digits, 'a'))) << digits;
  }
  for (const std::size_t digits : {64, 128}) {
    Signature signature;
    EXPECT_TRUE(signature.read_hex(std::string(digits, 'a')));
    EXPECT_EQ(signature.bytes(), std::string(digits / 2, '\xAA'));
    EXPECT_FALSE(signature.read_hex(std::string(digits - 1, 'a') + "A"));
    EXPECT_FALSE(signature.read_hex(std::string(digits - 1, 'a') + "g"));
  }
}

TEST(Key, AssignmentSwapsSoThatBothSecretsAreWiped) {
  Key kept("a", std::string(40, 'a'));
  Key given("b", std::string(40, 'b'));
  kept = std::move(given);
  EXPECT_EQ(kept.secret, std::string(40, 'b'));
  EXPECT_EQ(given.secret, std::string(40, 'a'));  // its destructor wipes it

  Key pair("c", kSecret, Algorithm::ed25519);
  kept = std::move(pair);
  EXPECT_EQ(kept.algorithm(), Algorithm::ed25519);
  EXPECT_TRUE(kept.verify("x", kept.sign("x")));
  EXPECT_EQ(kept.fingerprint, Key("c", kSecret, Algorithm::ed25519).fingerprint);
  EXPECT_EQ(pair.algorithm(), Algorithm::hmac_sha256);
}

class KeyringDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "sealcast_keyring_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    std::ofstream(directory_ / name, std::ios::binary) << content;
    ASSERT_EQ(::chmod((directory_ / name).c_str(), mode), 0);
  }
  LoadedKeyring load(bool strict = false) { return load_keyring(directory_.string(), strict); }

  // Returns the error message for the directory.
  std::string refusal(bool strict = false) {
    try {
      load(strict);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_keyring);
      EXPECT_EQ(std::string(error.what()).find(kSecret.substr(0, 8)), std::string::npos)
          << "the message contains the secret";
      return error.what();
    }
    ADD_FAILURE() << "not refused";
    return "";
  }
  std::string path(const std::string& name) { return "\"" + (directory_ / name).string() + "\""; }

  fs::path directory_;
};

TEST_F(KeyringDirectory, EachFileIsAKey) {
  write("k1", kSecret + "1\n");
  write("k2", kSecret + "2\n\n");
  write("k3", kSecret + "3", 0440);
  write(".hidden", "short");
  fs::create_directory(directory_ / "..data_like");
  const LoadedKeyring loaded = load(true);
  ASSERT_EQ(loaded.keyring.keys().size(), 3U);
  EXPECT_EQ(loaded.keyring.find("k1")->secret, kSecret + "1");
  EXPECT_EQ(loaded.keyring.find("k2")->secret, kSecret + "2\n");
  EXPECT_EQ(loaded.keyring.find("k3")->secret, kSecret + "3");
  EXPECT_TRUE(loaded.warnings.empty());
}

TEST_F(KeyringDirectory, Ed25519KeysAreReadFromPem) {
  write("k1", kSecret);
  write("k2.ed25519", kPem);
  const LoadedKeyring loaded = load(true);
  ASSERT_EQ(loaded.keyring.keys().size(), 2U);
  EXPECT_EQ(loaded.keyring.find("k1")->algorithm(), Algorithm::hmac_sha256);
  EXPECT_EQ(loaded.keyring.find("k2.ed25519"), nullptr);
  const Key* const pair = loaded.keyring.find("k2");
  ASSERT_NE(pair, nullptr);
  EXPECT_EQ(pair->algorithm(), Algorithm::ed25519);
  std::string shown;
  append_hex({reinterpret_cast<const char*>(pair->public_key()->data()), pair->public_key()->size()}, shown);
  EXPECT_EQ(shown, kPublicKey);
}

TEST_F(KeyringDirectory, AnEd25519FileWithoutSuchAKeyIsRefused) {
  for (const std::string& content : {kSecret, std::string(), std::string(kPem).substr(0, 60)}) {
    write("k1.ed25519", content);
    EXPECT_EQ(refusal(), "keyring: " + path("k1.ed25519") + " contains no Ed25519 private key in PEM");
  }
  try {
    load();
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("openssl genpkey -algorithm ed25519"), std::string::npos);
  }
  fs::remove(directory_ / "k1.ed25519");
  for (const char* name : {"k1.ED25519", "k1.ed25519.ed25519", "k1.pem", "k.1.ed25519"}) {
    write(name, kPem);
    EXPECT_NE(refusal().find(path(name)), std::string::npos) << name;
    fs::remove(directory_ / name);
  }
}

// A public key must not become an HMAC secret: everybody who knows the public key could sign.
TEST_F(KeyringDirectory, PemIsRefusedAsAnHmacSecret) {
  for (const char* kind : {"PRIVATE", "PUBLIC"}) {
    write("k1", "-----BEGIN " + std::string(kind) + " KEY-----\n" + kSecret + "\n");
    EXPECT_EQ(refusal(), "keyring: " + path("k1") + " contains PEM, which is not an HMAC secret");
  }
}

TEST_F(KeyringDirectory, AKeyIdWithTwoFilesIsRefused) {
  write("k1", kSecret);
  write("k1.ed25519", kPem);
  EXPECT_EQ(refusal(), "keyring: " + path("k1.ed25519") + ": duplicate key id \"k1\"");
}

TEST_F(KeyringDirectory, TheModeOfEd25519FilesIsCheckedToo) {
  write("k1.ed25519", kPem, 0602);
  EXPECT_EQ(refusal(), "keyring: " + path("k1.ed25519") + " is writable by others");
  write("k1.ed25519", kPem, 0644);
  EXPECT_EQ(load().warnings.size(), 1U);
  EXPECT_EQ(refusal(true), "keyring: " + path("k1.ed25519") + " is readable by others");
}

TEST_F(KeyringDirectory, AnEmptyDirectoryIsAnEmptyKeyring) { EXPECT_TRUE(load(true).keyring.keys().empty()); }

// Uses the symlinks with which Kubernetes mounts a secret: k1 -> ..data/k1, ..data -> ..2026_01_01.
TEST_F(KeyringDirectory, SymlinksAreFollowed) {
  fs::create_directory(directory_ / "..2026_01_01");
  write("..2026_01_01/k1", kSecret);
  fs::create_directory_symlink("..2026_01_01", directory_ / "..data");
  fs::create_symlink("..data/k1", directory_ / "k1");
  const LoadedKeyring loaded = load();
  ASSERT_EQ(loaded.keyring.keys().size(), 1U);
  EXPECT_EQ(loaded.keyring.find("k1")->secret, kSecret);
}

TEST_F(KeyringDirectory, ASecretHasAnyBytesUpToTheMaximum) {
  std::string bytes(kMaxSecretBytes, '\0');
  write("k1", bytes + "\n");
  EXPECT_EQ(load().keyring.find("k1")->secret, bytes);
  write("k1", bytes + "x");
  EXPECT_NE(refusal().find(path("k1")), std::string::npos);
  write("k1", std::string(1 << 20, 's'));
  EXPECT_NE(refusal().find(path("k1")), std::string::npos);
}

TEST_F(KeyringDirectory, AnErrorNamesTheFile) {
  write("short", kSecret.substr(1) + "\n");
  EXPECT_NE(refusal().find(path("short")), std::string::npos);
  fs::remove(directory_ / "short");

  write("README.md", kSecret);
  EXPECT_NE(refusal().find(path("README.md")), std::string::npos);
  fs::remove(directory_ / "README.md");

  write("open", kSecret, 0602);
  EXPECT_EQ(refusal(), "keyring: " + path("open") + " is writable by others");
  fs::remove(directory_ / "open");

  fs::create_directory(directory_ / "sub");
  EXPECT_EQ(refusal(), "keyring: " + path("sub") + " is not a regular file");
  fs::remove(directory_ / "sub");

  ASSERT_EQ(::mkfifo((directory_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(refusal(), "keyring: " + path("pipe") + " is not a regular file");
  fs::remove(directory_ / "pipe");

  fs::create_symlink("nowhere", directory_ / "dangling");
  EXPECT_NE(refusal().find(path("dangling")), std::string::npos);
  fs::remove(directory_ / "dangling");

  for (std::size_t i = 0; i <= kMaxKeys; ++i) write("k" + std::to_string(i), kSecret);
  EXPECT_NE(refusal().find("more than 64"), std::string::npos);
}

TEST_F(KeyringDirectory, AFileThatOthersCanReadIsAWarningOrIfStrictRefused) {
  write("k1", kSecret, 0644);
  const LoadedKeyring loaded = load();
  EXPECT_NE(loaded.keyring.find("k1"), nullptr);
  ASSERT_EQ(loaded.warnings.size(), 1U);
  EXPECT_EQ(loaded.warnings[0], "keyring: " + path("k1") + " is readable by others");
  EXPECT_EQ(refusal(true), "keyring: " + path("k1") + " is readable by others");
}

TEST_F(KeyringDirectory, ADirectoryWhereOthersCanAddKeysIsRefused) {
  write("k1", kSecret);
  ASSERT_EQ(::chmod(directory_.c_str(), 01777), 0);
  EXPECT_NE(refusal().find("is writable by others"), std::string::npos);
}

TEST_F(KeyringDirectory, APathThatIsNoDirectoryIsRefused) {
  write("file", kSecret);
  for (const fs::path& wrong : {directory_ / "missing", directory_ / "file", fs::path()}) {
    try {
      load_keyring(wrong.string(), false);
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_keyring);
      EXPECT_FALSE(error.hint().empty());
    }
  }
}

// Root can read all files. So, if the test runs as root, it becomes another user for this check.
TEST_F(KeyringDirectory, AFileThatTheServerCannotReadIsRefused) {
  write("k1", kSecret, 0000);
  if (::geteuid() != 0) {
    EXPECT_NE(refusal().find("cannot be opened"), std::string::npos);
    return;
  }
  ASSERT_EQ(::chown(directory_.c_str(), 65534, 65534), 0);
  ASSERT_EQ(::seteuid(65534), 0);
  const std::string message = refusal();
  ASSERT_EQ(::seteuid(0), 0);
  EXPECT_NE(message.find("cannot be opened"), std::string::npos) << message;
}

}  // namespace
}  // namespace sealcast::core
