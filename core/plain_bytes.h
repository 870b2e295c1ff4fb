// Copying the bytes that a JSON string holds as they are, 16 or 8 at a time. Internal to core.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sealcast::core {

// Where the reading and the writing side stand; two registers.
struct Cursor {
  const char* in;
  char* out;
};

// How far a writer may store beyond what it has written: one vector, one number or one escape.
inline constexpr std::size_t kSlack = 64;

inline bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

// The high bit of every byte that is not plain, exact up to the first one, which is all that is asked of it.
inline std::uint64_t careful_bytes(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  const std::uint64_t quote = word ^ (kOnes * '"');
  const std::uint64_t backslash = word ^ (kOnes * '\\');
  return ((word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes) | word) & kHigh;
}

// Copies bytes up to `end` or the first one that a JSON string cannot hold as it is or that needs a closer look:
// quote, backslash, control, non-ASCII. `out` needs (end - in) + kSlack bytes.
inline Cursor copy_plain(Cursor at, const char* end) {
#if defined(__SSE2__)
  // Signed comparison: bytes from 0x80 on count as less than a space, like controls.
  const __m128i space = _mm_set1_epi8(0x20);
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  while (end - at.in >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at.in));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at.out), bytes);
    const __m128i careful = _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                                         _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(careful));
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
      const std::uint64_t careful = careful_bytes(word);
      if (careful != 0) {
        const int run = std::countr_zero(careful) / 8;
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
