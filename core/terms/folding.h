// Folds text into the form in which blocked terms are compared: without case, accents, invisible characters and
// look-alikes of other scripts.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::core::terms {

// Stands in folded text wherever a word begins or ends. Folding removes control characters, so no text contains it.
inline constexpr char kMark = '\x01';

// A folded text. Its memory is reused.
class Folded {
 public:
  std::string_view bytes() const { return {bytes_.data(), size_}; }
  // Returns the offset in the text at which the character begins from which the byte `i` came.
  std::size_t begin_of(std::size_t i) const { return origin_[i]; }
  // Returns the end of this character, with the characters after it that folding removed.
  std::size_t end_of(std::size_t i) const;

  // Begins a text of `size` bytes, and ends it.
  void begin(std::size_t size);
  void end(std::size_t size) { origin_[size_] = static_cast<std::uint32_t>(size); }
  // Makes room for `more` bytes.
  void reserve(std::size_t more) {
    if (size_ + more >= bytes_.size()) grow(more);
  }
  // Appends a byte that came from the character at `origin`. There must be room for it.
  void put(char byte, std::uint32_t origin) {
    bytes_[size_] = byte;
    origin_[size_++] = origin;
  }

 private:
  void grow(std::size_t more);

  // Larger than size_, so that no element is initialised again for each text. origin_ has the size of the text behind
  // the origin of the last byte.
  std::vector<char> bytes_;
  std::vector<std::uint32_t> origin_;
  std::size_t size_ = 0;
};

// Folds texts. The folded form of a code point is computed by ICU once and then kept, in at most 7 MB. Not thread-safe.
//
// The form of a code point: NFKC_Casefold, then compatibility decomposition without accents (marks of no script of
// their own, points of Arabic, Hebrew and Syriac), emoji modifiers, control and format characters; then the prototype
// of UTS #39 (confusables) of each character that is neither ASCII nor Hangul, Kana or Han. ASCII stays as it is,
// except for its case: UTS #39 has `rn` for m, l for 1 and O for 0, which would block innocent words. White space
// becomes one space.
class Folder {
 public:
  // Throws Error{invalid_argument} if ICU lacks its data.
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // Replaces `out`. Bytes that are not UTF-8 fold to U+FFFD. The text must have less than 4 GiB.
  void fold(std::string_view text, Folded& out);

 private:
  struct Icu;

  // What a folded code point is. A word consists of `word` and the three kinds of Hangul letters.
  enum class Kind : std::uint8_t { other, space, kana, voicing, word };
  struct Piece {
    std::array<char, 4> utf8;
    std::uint8_t size;
    Kind kind;
  };
  // 0: not computed yet. Otherwise its highest bit is set if the code point folds to itself, and the lowest bits are
  // its Kind; else the lowest 8 bits are the number of pieces plus 1, and the others the index of the first piece.
  using Entry = std::uint32_t;
  using Page = std::array<Entry, 256>;

  static Kind kind_of(std::int32_t code_point);
  static Piece piece_of(std::int32_t code_point);
  Entry entry_of(std::int32_t code_point);
  Entry compute(std::int32_t code_point);

  struct Ascii {
    char byte;  // NUL: nothing
    Kind kind;
  };

  std::unique_ptr<Icu> icu_;
  std::array<Ascii, 128> ascii_;
  std::vector<std::unique_ptr<Page>> pages_;
  std::vector<Piece> pieces_;
};

}  // namespace sealcast::core::terms
