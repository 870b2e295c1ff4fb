// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), without an allocation per call.
#pragma once

#include <openssl/sha.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sealcast {

using Digest = std::array<unsigned char, 32>;
inline constexpr std::size_t kHexDigest = 64;

Digest sha256(std::string_view bytes);

// Lower-case hex, 64 characters.
std::string to_hex(const Digest& digest);
void append_hex(const Digest& digest, std::string& out);
char* write_hex(const Digest& digest, char* out);  // returns the end of the 64 digits

// The first 8 bytes, big-endian: what spreads things evenly, the same everywhere.
std::uint64_t leading_number(const Digest& digest);

// False unless `hex` is exactly 64 lower-case hex digits.
bool from_hex(std::string_view hex, Digest& out);

// Takes the same time whatever the contents.
bool equal_in_constant_time(const Digest& a, const Digest& b);

// A secret whose two pad blocks have been hashed once: each sign() costs only its message.
class HmacKey {
 public:
  explicit HmacKey(std::string_view secret);
  HmacKey(const HmacKey&) = default;
  HmacKey& operator=(const HmacKey&) = default;
  ~HmacKey();  // wipes
  Digest sign(std::string_view message) const;

 private:
  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

}  // namespace sealcast
