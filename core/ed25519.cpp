// Signs and verifies Ed25519 with OpenSSL's EVP interface, and reads PEM files.
#include "core/ed25519.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstddef>
#include <stdexcept>

namespace sealcast::core {
namespace {

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// OpenSSL keeps a queue of errors per thread. Without this call, later code that checks the queue would find old
// errors.
[[noreturn]] void fail(const char* problem) {
  ERR_clear_error();
  throw std::runtime_error(problem);
}

}  // namespace

void Ed25519Key::Free::operator()(EVP_PKEY* pair) const { EVP_PKEY_free(pair); }
void Ed25519Key::Free::operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }

Ed25519Key::Ed25519Key(std::string_view seed)
    : pair_(seed.size() == kEd25519Seed
                ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(seed), seed.size())
                : nullptr),
      context_(EVP_MD_CTX_new()) {
  std::size_t size = public_key_.size();
  if (pair_ == nullptr || context_ == nullptr ||
      EVP_PKEY_get_raw_public_key(pair_.get(), public_key_.data(), &size) != 1 || size != public_key_.size()) {
    fail("OpenSSL cannot make an Ed25519 key");
  }
}

Ed25519Signature Ed25519Key::sign(std::string_view message) const {
  Ed25519Signature signature;
  std::size_t size = signature.size();
  if (EVP_DigestSignInit(context_.get(), nullptr, nullptr, nullptr, pair_.get()) != 1 ||
      EVP_DigestSign(context_.get(), signature.data(), &size, bytes_of(message), message.size()) != 1 ||
      size != signature.size()) {
    fail("OpenSSL cannot sign with an Ed25519 key");
  }
  return signature;
}

bool Ed25519Key::verify(std::string_view message, const Ed25519Signature& signature) const {
  if (EVP_DigestVerifyInit(context_.get(), nullptr, nullptr, nullptr, pair_.get()) != 1) {
    fail("OpenSSL cannot verify with an Ed25519 key");
  }
  const int result =
      EVP_DigestVerify(context_.get(), signature.data(), signature.size(), bytes_of(message), message.size());
  if (result != 1) ERR_clear_error();
  return result == 1;
}

bool read_ed25519_pem(std::string_view pem, std::string& seed) {
  const std::unique_ptr<BIO, int (*)(BIO*)> input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  // Without this callback, OpenSSL would ask the terminal for the password of an encrypted key.
  constexpr auto kNoPassword = [](char*, int, int, void*) { return -1; };
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> pair(
      input == nullptr ? nullptr : PEM_read_bio_PrivateKey(input.get(), nullptr, kNoPassword, nullptr), EVP_PKEY_free);
  seed.resize(kEd25519Seed);
  std::size_t size = seed.size();
  const bool found =
      pair != nullptr && EVP_PKEY_get_base_id(pair.get()) == EVP_PKEY_ED25519 &&
      EVP_PKEY_get_raw_private_key(pair.get(), reinterpret_cast<unsigned char*>(seed.data()), &size) == 1 &&
      size == kEd25519Seed;
  if (!found) ERR_clear_error();
  return found;
}

}  // namespace sealcast::core
