// Computes SHA-256 and HMAC with OpenSSL's low-level interface, which OpenSSL 3.0 deprecates. The EVP interface
// allocates memory and fetches the algorithm for each context. Both together take longer than hashing a chat message. A
// SHA256_CTX is a plain struct of 112 bytes, so a copy is cheap.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/digest.h"

#include <openssl/crypto.h>

#include <cstring>

namespace sealcast::core {
namespace {

// The two hex digits of each byte value.
constexpr std::array<std::array<char, 2>, 256> kHex = [] {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) table[byte] = {kDigits[byte >> 4], kDigits[byte & 15]};
  return table;
}();

void begin_with_pad(SHA256_CTX& state, const unsigned char* block, unsigned char pad) {
  unsigned char padded[SHA256_CBLOCK];
  for (std::size_t i = 0; i < sizeof padded; ++i) padded[i] = block[i] ^ pad;
  SHA256_Init(&state);
  SHA256_Update(&state, padded, sizeof padded);
  OPENSSL_cleanse(padded, sizeof padded);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Digest sha256(std::string_view bytes) {
  SHA256_CTX state;
  Digest digest;
  SHA256_Init(&state);
  SHA256_Update(&state, bytes.data(), bytes.size());
  SHA256_Final(digest.data(), &state);
  return digest;
}

char* write_hex(std::string_view bytes, char* out) {
  for (const char byte : bytes) {
    std::memcpy(out, kHex[static_cast<unsigned char>(byte)].data(), 2);
    out += 2;
  }
  return out;
}

void append_hex(std::string_view bytes, std::string& out) {
  const std::size_t start = out.size();
  out.resize(start + 2 * bytes.size());
  write_hex(bytes, out.data() + start);
}

std::string to_hex(const Digest& digest) {
  std::string text;
  append_hex(bytes(digest), text);
  return text;
}

std::uint64_t leading_number(const Digest& digest) {
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | digest[i];
  return number;
}

bool from_hex(std::string_view hex, std::span<unsigned char> out) {
  if (hex.size() != 2 * out.size()) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = hex_digit(hex[2 * i]);
    const int low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<unsigned char>(high << 4 | low);
  }
  return true;
}

bool equal_in_constant_time(const Digest& a, const Digest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

HmacKey::HmacKey(std::string_view secret) {
  unsigned char block[SHA256_CBLOCK] = {};
  if (secret.size() > sizeof block) {
    const Digest hashed = sha256(secret);
    std::memcpy(block, hashed.data(), hashed.size());
  } else if (!secret.empty()) {
    std::memcpy(block, secret.data(), secret.size());
  }
  begin_with_pad(inner_, block, 0x36);
  begin_with_pad(outer_, block, 0x5c);
  OPENSSL_cleanse(block, sizeof block);
}

// The hash states of the pad blocks must stay as secret as the key, because they are sufficient to sign.
HmacKey::~HmacKey() {
  OPENSSL_cleanse(&inner_, sizeof inner_);
  OPENSSL_cleanse(&outer_, sizeof outer_);
}

Digest HmacKey::sign(std::string_view message) const {
  Digest digest;
  SHA256_CTX state = inner_;
  SHA256_Update(&state, message.data(), message.size());
  SHA256_Final(digest.data(), &state);
  state = outer_;
  SHA256_Update(&state, digest.data(), digest.size());
  SHA256_Final(digest.data(), &state);
  return digest;
}

}  // namespace sealcast::core
