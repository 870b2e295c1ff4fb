// Ed25519 (RFC 8032) with OpenSSL: a key pair that signs and verifies many messages.
#pragma once

#include <openssl/types.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace sealcast::core {

using Ed25519Signature = std::array<unsigned char, 64>;
using Ed25519PublicKey = std::array<unsigned char, 32>;

inline constexpr std::size_t kEd25519Seed = 32;  // bytes of the private key (RFC 8032 §5.1.5)

class Ed25519Key {
 public:
  // Throws std::runtime_error if `seed` does not have kEd25519Seed bytes, or if OpenSSL cannot make the key.
  explicit Ed25519Key(std::string_view seed);

  // sign() and verify() throw std::runtime_error if OpenSSL fails. verify() returns false for an invalid signature.
  Ed25519Signature sign(std::string_view message) const;
  bool verify(std::string_view message, const Ed25519Signature& signature) const;
  const Ed25519PublicKey& public_key() const noexcept { return public_key_; }

 private:
  struct Free {
    void operator()(EVP_PKEY* pair) const;
    void operator()(EVP_MD_CTX* context) const;
  };

  std::unique_ptr<EVP_PKEY, Free> pair_;       // OpenSSL wipes the private key when it frees the pair
  std::unique_ptr<EVP_MD_CTX, Free> context_;  // used for all messages, so threads must not share a key
  Ed25519PublicKey public_key_{};
};

// Reads the seed from PEM as `openssl genpkey -algorithm ed25519` writes it (PKCS#8, not encrypted) and replaces
// `seed`. Returns false if the text contains no such key; the content of `seed` is unspecified after that.
bool read_ed25519_pem(std::string_view pem, std::string& seed);

}  // namespace sealcast::core
