// Tests Ed25519 with the vectors of RFC 8032 §7.1, with changed signatures, and with PEM files.
#include "core/ed25519.h"

#include <gtest/gtest.h>

#include <span>
#include <stdexcept>
#include <string>

#include "core/digest.h"

namespace sealcast::core {
namespace {

struct Vector {
  const char* name;
  std::string_view seed, public_key, message, signature;
};

constexpr Vector kVectors[] = {
    {"TEST 1", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
     "551"
     "41438e7a100b"},
    {"TEST 2", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
     "00d"
     "291612bb0c00"},
    {"TEST 3", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc"
     "027"
     "beceea1ec40a"},
    {"TEST SHA(abc)", "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2"
     "a9a"
     "c94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad"
     "9be"
     "f1177331a704"},
};

std::string unhex(std::string_view hex) {
  std::string bytes(hex.size() / 2, '\0');
  EXPECT_TRUE(from_hex(hex, std::span(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size()))) << hex;
  return bytes;
}

template <class Array>
std::string hex(const Array& bytes) {
  std::string text;
  append_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, text);
  return text;
}

// Adds the order of the group, 2^252 + 27742317777372353535851937790883648493, to the number S, the second half of a
// signature. The equation of verification stays true.
void add_order(Ed25519Signature& signature) {
  constexpr unsigned char kOrder[] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                      0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
  unsigned carry = 0;
  for (std::size_t i = 0; i < sizeof kOrder; ++i) {
    carry += static_cast<unsigned>(signature[32 + i]) + kOrder[i];
    signature[32 + i] = static_cast<unsigned char>(carry);
    carry >>= 8;
  }
}

TEST(Ed25519, SignaturesAreThoseOfRfc8032) {
  for (const Vector& each : kVectors) {
    const Ed25519Key key(unhex(each.seed));
    EXPECT_EQ(hex(key.public_key()), each.public_key) << each.name;
    // Signs and verifies twice, because a key reuses its OpenSSL context.
    for (int i = 0; i < 2; ++i) {
      const Ed25519Signature signature = key.sign(unhex(each.message));
      EXPECT_EQ(hex(signature), each.signature) << each.name;
      EXPECT_TRUE(key.verify(unhex(each.message), signature)) << each.name;
    }
  }
}

TEST(Ed25519, AChangedSignatureOrMessageIsRefused) {
  const Ed25519Key key(unhex(kVectors[0].seed));
  const Ed25519Key other(unhex(kVectors[1].seed));
  const Ed25519Signature signature = key.sign("message");
  for (std::size_t bit = 0; bit < 8 * signature.size(); ++bit) {
    Ed25519Signature changed = signature;
    changed[bit / 8] ^= static_cast<unsigned char>(1 << (bit % 8));
    EXPECT_FALSE(key.verify("message", changed)) << bit;
  }
  for (const char* message : {"", "messagf", "message "}) EXPECT_FALSE(key.verify(message, signature)) << message;
  EXPECT_FALSE(other.verify("message", signature));
  for (const unsigned char fill : {0, 1, 0xFF}) {
    Ed25519Signature flat;
    flat.fill(fill);
    EXPECT_FALSE(key.verify("message", flat));
  }
  // If this signature were accepted, everybody could make a second valid signature from the first (RFC 8032 §8.4).
  Ed25519Signature malleable = signature;
  add_order(malleable);
  EXPECT_FALSE(key.verify("message", malleable));
  EXPECT_TRUE(key.verify("message", signature)) << "a refused signature does not affect the key";
}

TEST(Ed25519, OnlySeedsOf32BytesAreAccepted) {
  for (const std::size_t size : {0, 31, 33, 64}) {
    EXPECT_THROW(Ed25519Key(std::string(size, 's')), std::runtime_error) << size;
  }
}

TEST(Ed25519, PemFromOpensslIsRead) {
  std::string seed;
  ASSERT_TRUE(
      read_ed25519_pem("-----BEGIN PRIVATE KEY-----\n"
                       "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                       "-----END PRIVATE KEY-----\n",
                       seed));
  EXPECT_EQ(seed, unhex(kVectors[0].seed));
}

// Refuses the key of TEST 1 in other forms, and other kinds of keys in PEM. They were made with openssl.
TEST(Ed25519, OtherTextsAreNoEd25519Pem) {
  constexpr std::string_view kOther[] = {
      "", "\n", "an HMAC secret of 32 bytes or so", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLs\n-----END PRIVATE KEY-----\n",
      "-----BEGIN PRIVATE KEY-----\n",
      // The public key.
      "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
      "-----END PUBLIC KEY-----\n",
      // An encrypted key. The test would wait for ever if OpenSSL asked for a password.
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
      "MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAiytPx5mStYSgIBATAM\n"
      "BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBAgQQcfPsGXWt95LRrDV6VXSMUwRA2M0J\n"
      "DuYsWryDzaTFUhm+zu2IcR/tnzrXvTNKt5nXFZrJSMHHLr5Zv51tXRiJIXm3k1ho\n"
      "bMhurEJkYEcX/gu0Ig==\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n",
      // An X25519 key.
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VuBCIEIOgM7Fm4xftSAsN1WRjAPlcELQcOFod94nBY+eHX8W5N\n"
      "-----END PRIVATE KEY-----\n",
      // A key on the curve P-256.
      "-----BEGIN PRIVATE KEY-----\n"
      "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxmhJfSdOO8lK28Y+\n"
      "na0yKuPurE/rjZcERdqTJcjLRVGhRANCAATqszG9ZceP056lPfeDrXOQpupFzYSQ\n"
      "Nbs0j6QpWKQt2v+NPArjc6p0kwyj4F5UORkgJlh72HXp55o25khhfT1K\n"
      "-----END PRIVATE KEY-----\n"};
  std::string seed;
  for (const std::string_view text : kOther) EXPECT_FALSE(read_ed25519_pem(text, seed)) << text;
}

}  // namespace
}  // namespace sealcast::core
