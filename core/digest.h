// SHA-256 (FIPS 180-4), HMAC-SHA-256 (RFC 2104) and hex, without an allocation per hash.
#pragma once

#include <openssl/sha.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sealcast::core {

using Digest = std::array<unsigned char, 32>;
inline constexpr std::size_t kHexDigest = 64;

Digest sha256(std::string_view bytes);

inline std::string_view bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// These functions write lower-case hex, two digits per byte.
std::string to_hex(const Digest& digest);
void append_hex(std::string_view bytes, std::string& out);
char* write_hex(std::string_view bytes, char* out);  // returns the end; `out` needs 2 * bytes.size() bytes

// Returns the first 8 bytes as a big-endian number. The numbers are evenly distributed, and equal on all machines.
std::uint64_t leading_number(const Digest& digest);

// Returns false unless `hex` consists of lower-case hex digits, exactly two per byte of `out`.
bool from_hex(std::string_view hex, std::span<unsigned char> out);

// Takes the same time for all contents, so that an attacker learns nothing about a secret from the time.
bool equal_in_constant_time(const Digest& a, const Digest& b);

// An HMAC secret. The constructor hashes the two pad blocks (RFC 2104), so sign() hashes only the message and the inner
// digest.
class HmacKey {
 public:
  explicit HmacKey(std::string_view secret);
  HmacKey(const HmacKey&) = default;
  HmacKey& operator=(const HmacKey&) = default;
  ~HmacKey();  // wipes the hash states
  Digest sign(std::string_view message) const;

 private:
  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

}  // namespace sealcast::core
