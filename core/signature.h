// The bytes of a signature: 32 bytes of HMAC-SHA-256 or 64 bytes of Ed25519.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "core/digest.h"
#include "core/ed25519.h"

namespace sealcast::core {

// The key that verifies a signature decides on the algorithm. The size of the signature does not select an algorithm.
class Signature {
 public:
  static constexpr bool has_size(std::size_t bytes) noexcept {
    return bytes == sizeof(Digest) || bytes == sizeof(Ed25519Signature);
  }

  Signature() = default;
  explicit Signature(const Digest& mac) : size_(mac.size()) { std::memcpy(bytes_.data(), mac.data(), mac.size()); }
  explicit Signature(const Ed25519Signature& signature) : size_(signature.size()), bytes_(signature) {}

  // Returns false unless `hex` consists of 64 or 128 lower-case hex digits. A false result leaves an unusable
  // signature.
  bool read_hex(std::string_view hex) {
    size_ = hex.size() / 2;
    return has_size(size_) && from_hex(hex, std::span(bytes_).first(size_));
  }

  std::string_view bytes() const noexcept { return {reinterpret_cast<const char*>(bytes_.data()), size_}; }

  // Returns false, and leaves `out` unchanged, if `out` has another size than the signature.
  template <class Array>
  bool copy_to(Array& out) const noexcept {
    if (size_ != out.size()) return false;
    std::memcpy(out.data(), bytes_.data(), out.size());
    return true;
  }

 private:
  std::size_t size_ = 0;
  Ed25519Signature bytes_;
};

}  // namespace sealcast::core
