// The public key of a session's issuer: verifies RS256 and ES256 signatures (RFC 7518 §3) with OpenSSL.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <optional>
#include <string_view>

namespace sealcast::core::token {

class PublicKey {
 public:
  // Makes an RSA key from the bytes of the JWK members `n` and `e` (big-endian). Returns nullopt if the bytes are not
  // an RSA key.
  static std::optional<PublicKey> rsa(std::string_view n, std::string_view e);
  // Makes a key on the curve P-256 from the bytes of the JWK members `x` and `y`. Returns nullopt unless each has 32
  // bytes and the point is on the curve.
  static std::optional<PublicKey> p256(std::string_view x, std::string_view y);

  // Returns RS256 or ES256. The key decides on the algorithm; a token cannot choose another one.
  std::string_view algorithm() const noexcept { return is_rsa_ ? "RS256" : "ES256"; }
  // Returns the size of the RSA modulus or of the curve in bits, rounded up to a multiple of 8.
  int bits() const;

  // An RS256 signature is as long as the modulus. An ES256 signature consists of r and s with 32 bytes each. Returns
  // false for a signature of another length.
  bool verify(std::string_view message, std::string_view signature) const;

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const;
  };

  PublicKey(EVP_PKEY* key, bool is_rsa) : key_(key), is_rsa_(is_rsa) {}

  std::unique_ptr<EVP_PKEY, Free> key_;
  bool is_rsa_;
};

}  // namespace sealcast::core::token
