// Makes public keys from the members of a JWK and verifies signatures with OpenSSL's EVP interface.
#include "core/token/public_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <string>

namespace sealcast::core::token {
namespace {

constexpr std::size_t kCoordinate = 32;  // bytes of a number of P-256 (RFC 7518 §3.4 and §6.2.1.2)
constexpr char kUncompressed = 4;        // first byte of an uncompressed point (SEC 1), before x and y

template <auto function>
struct Call {
  template <typename T>
  void operator()(T* value) const {
    function(value);
  }
};
using Number = std::unique_ptr<BIGNUM, Call<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Call<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Call<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Call<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Call<EVP_MD_CTX_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Call<ECDSA_SIG_free>>;

// OpenSSL keeps a queue of errors per thread. Without this object, later code that checks the queue would find old
// errors.
struct ErrorsCleared {
  ~ErrorsCleared() { ERR_clear_error(); }
};

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

Number number_of(std::string_view big_endian) {
  return Number(BN_bin2bn(bytes_of(big_endian), static_cast<int>(big_endian.size()), nullptr));
}

// Returns null if the parameters are not a public key of that type. The caller must free the key.
EVP_PKEY* make_key(const char* type, OSSL_PARAM_BLD* builder) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return key;
}

// Converts an ES256 signature to DER, which OpenSSL needs. Returns an empty string after a failure.
std::string to_der(std::string_view r_and_s) {
  if (r_and_s.size() != 2 * kCoordinate) return {};
  Number r = number_of(r_and_s.substr(0, kCoordinate));
  Number s = number_of(r_and_s.substr(kCoordinate));
  const EcSignature signature(ECDSA_SIG_new());
  if (!r || !s || !signature || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return {};
  static_cast<void>(r.release());  // the signature owns both numbers now
  static_cast<void>(s.release());
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return out;
}

}  // namespace

void PublicKey::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

std::optional<PublicKey> PublicKey::rsa(std::string_view n, std::string_view e) {
  const ErrorsCleared cleared;
  const Number modulus = number_of(n);
  const Number exponent = number_of(e);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!modulus || !exponent || !builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return std::nullopt;
  }
  EVP_PKEY* const key = make_key("RSA", builder.get());
  if (key == nullptr) return std::nullopt;
  return PublicKey(key, true);
}

std::optional<PublicKey> PublicKey::p256(std::string_view x, std::string_view y) {
  if (x.size() != kCoordinate || y.size() != kCoordinate) return std::nullopt;
  const ErrorsCleared cleared;
  std::string point(1, kUncompressed);
  point.append(x).append(y);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1) {
    return std::nullopt;
  }
  EVP_PKEY* const key = make_key("EC", builder.get());
  if (key == nullptr) return std::nullopt;
  return PublicKey(key, false);
}

int PublicKey::bits() const { return (EVP_PKEY_get_bits(key_.get()) + 7) / 8 * 8; }

bool PublicKey::verify(std::string_view message, std::string_view signature) const {
  const ErrorsCleared cleared;
  std::string der;
  if (!is_rsa_) {
    der = to_der(signature);
    if (der.empty()) return false;
    signature = der;
  }
  const DigestContext context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message), message.size()) == 1;
}

}  // namespace sealcast::core::token
