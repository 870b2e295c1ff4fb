// Copies bytes of a JSON string that need no change, 16 or 8 at a time. Internal to core.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sealcast::core {

// The next byte to read and the next byte to write. Functions pass it by value, so that it stays in two registers.
struct InOut {
  const char* in;
  char* out;
};

// Number of bytes after the written text that must be writable. Writers store one vector, one number or one escape
// there without a check of the room.
inline constexpr std::size_t kSlack = 64;

inline bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

// Returns a word whose high bits mark the bytes that are not plain. The lowest mark is correct. Marks above it may be
// wrong, because subtractions borrow from higher bytes; the caller uses only the lowest mark.
inline std::uint64_t special_bytes(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  const std::uint64_t quote = word ^ (kOnes * '"');
  const std::uint64_t backslash = word ^ (kOnes * '\\');
  return ((word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes) | word) & kHigh;
}

// Copies bytes up to `end` or the first byte that is not plain: quote, backslash, control character, non-ASCII. `out`
// needs room for (end - in) + kSlack bytes.
inline InOut copy_plain(InOut at, const char* end) {
#if defined(__SSE2__)
  // The comparison is signed, so bytes from 0x80 are negative. One comparison with a space finds these bytes and the
  // control characters.
  const __m128i space = _mm_set1_epi8(0x20);
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  while (end - at.in >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at.in));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at.out), bytes);
    const __m128i special = _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                                         _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (mask != 0) {
      const int run = std::countr_zero(mask);
      return {at.in + run, at.out + run};
    }
    at.in += 16;
    at.out += 16;
  }
#endif
  if constexpr (std::endian::native == std::endian::little) {
    while (end - at.in >= 8) {
      std::uint64_t word;
      std::memcpy(&word, at.in, 8);
      std::memcpy(at.out, &word, 8);
      const std::uint64_t special = special_bytes(word);
      if (special != 0) {
        const int run = std::countr_zero(special) / 8;
        return {at.in + run, at.out + run};
      }
      at.in += 8;
      at.out += 8;
    }
  }
  while (at.in < end && is_plain(static_cast<unsigned char>(*at.in))) *at.out++ = *at.in++;
  return at;
}

}  // namespace sealcast::core
