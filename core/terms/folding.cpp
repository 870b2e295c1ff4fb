// Computes the folded form of each code point by ICU, and folds texts by a table of these forms.
#include "core/terms/folding.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/uspoof.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "core/error.h"

namespace sealcast::core::terms {
namespace {

constexpr std::uint32_t kItself = 0x8000'0000;
constexpr UChar32 kReplacement = 0xFFFD;
constexpr UChar32 kVoicedSound = 0x3099;
constexpr UChar32 kSemiVoicedSound = 0x309A;

void require(UErrorCode status, const char* what) {
  if (U_SUCCESS(status)) return;
  throw Error(ErrorKind::invalid_argument, std::string("ICU failed: ") + what, u_errorName(status),
              "Install the data of ICU (libicu).");
}

// The longest folded form of one code point has 18 code points (U+FDFA).
using Buffer = std::array<UChar, 128>;

std::u16string normalized(const UNormalizer2* form, std::u16string_view text) {
  Buffer buffer;
  UErrorCode status = U_ZERO_ERROR;
  const std::int32_t size = unorm2_normalize(form, text.data(), static_cast<std::int32_t>(text.size()), buffer.data(),
                                             static_cast<std::int32_t>(buffer.size()), &status);
  require(status, "unorm2_normalize");
  return {buffer.data(), static_cast<std::size_t>(size)};
}

void append(UChar32 code_point, std::u16string& out) {
  if (code_point < 0x10000) {
    out += static_cast<char16_t>(code_point);
  } else {
    out += static_cast<char16_t>(U16_LEAD(code_point));
    out += static_cast<char16_t>(U16_TRAIL(code_point));
  }
}

template <class Use>
void for_each_code_point(std::u16string_view text, Use use) {
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0; i < size;) {
    UChar32 code_point;
    U16_NEXT(text.data(), i, size, code_point);
    use(code_point);
  }
}

UScriptCode script_of(UChar32 code_point) {
  UErrorCode status = U_ZERO_ERROR;
  return uscript_getScript(code_point, &status);
}

bool is_space(UChar32 code_point) {
  constexpr UChar32 kBrailleBlank = 0x2800;
  return code_point == kBrailleBlank || u_isUWhiteSpace(code_point);
}

// Returns whether readers see the text without this code point as the same text, or nearly so.
bool is_dropped(UChar32 code_point) {
  if (is_space(code_point) || code_point == kVoicedSound || code_point == kSemiVoicedSound) return false;
  if (u_hasBinaryProperty(code_point, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) ||
      u_hasBinaryProperty(code_point, UCHAR_EMOJI_MODIFIER)) {
    return true;
  }
  switch (u_charType(code_point)) {
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
      return true;
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK: {
      const UScriptCode script = script_of(code_point);
      return script == USCRIPT_INHERITED || script == USCRIPT_COMMON || script == USCRIPT_ARABIC ||
             script == USCRIPT_HEBREW || script == USCRIPT_SYRIAC;
    }
    default:
      return false;
  }
}

// Scripts whose characters are composed of parts that look like characters of other scripts.
bool has_look_alikes(UChar32 code_point) {
  if (code_point < 0x80) return false;
  const UScriptCode script = script_of(code_point);
  return script != USCRIPT_HANGUL && script != USCRIPT_HIRAGANA && script != USCRIPT_KATAKANA && script != USCRIPT_HAN;
}

}  // namespace

struct Folder::Icu {
  const UNormalizer2* casefold;
  const UNormalizer2* decompose;
  USpoofChecker* spoof;

  Icu() {
    UErrorCode status = U_ZERO_ERROR;
    casefold = unorm2_getNFKCCasefoldInstance(&status);
    decompose = unorm2_getNFKDInstance(&status);
    require(status, "unorm2_getInstance");
    spoof = uspoof_open(&status);
    require(status, "uspoof_open");
  }
  ~Icu() { uspoof_close(spoof); }
  Icu(const Icu&) = delete;
  Icu& operator=(const Icu&) = delete;

  // Casefolds and decomposes the text, and drops what readers do not see.
  std::u16string bare(std::u16string_view text) const {
    std::u16string out;
    for_each_code_point(normalized(decompose, normalized(casefold, text)), [&out](UChar32 code_point) {
      if (!is_dropped(code_point)) append(is_space(code_point) ? ' ' : code_point, out);
    });
    return out;
  }

  std::u16string prototype(UChar32 code_point) const {
    std::u16string text;
    append(code_point, text);
    Buffer buffer;
    UErrorCode status = U_ZERO_ERROR;
    const std::int32_t size = uspoof_getSkeleton(spoof, 0, text.data(), static_cast<std::int32_t>(text.size()),
                                                 buffer.data(), static_cast<std::int32_t>(buffer.size()), &status);
    require(status, "uspoof_getSkeleton");
    std::u16string found = bare({buffer.data(), static_cast<std::size_t>(size)});
    // The prototype of m and of its look-alikes is rn.
    return found == u"rn" ? std::u16string(u"m") : found;
  }
};

Folder::Folder() : icu_(std::make_unique<Icu>()), pages_(0x110000 / 256) {
  for (std::size_t c = 0; c < ascii_.size(); ++c) {
    const std::u16string folded = icu_->bare(std::u16string(1, static_cast<char16_t>(c)));
    ascii_[c] = folded.empty() ? Ascii{} : Ascii{static_cast<char>(folded[0]), kind_of(folded[0])};
  }
}
Folder::~Folder() = default;

void Folded::begin(std::size_t size) {
  size_ = 0;
  reserve(size + size / 2);
}

void Folded::grow(std::size_t more) {
  const std::size_t size = std::max(size_ + more + 1, 2 * bytes_.size());
  bytes_.resize(size);
  origin_.resize(size);
}

std::size_t Folded::end_of(std::size_t i) const {
  std::size_t next = i + 1;
  while (next < size_ && origin_[next] == origin_[i]) ++next;
  return origin_[next];
}

Folder::Kind Folder::kind_of(UChar32 code_point) {
  if (code_point == ' ') return Kind::space;
  if (code_point == kVoicedSound || code_point == kSemiVoicedSound) return Kind::voicing;
  switch (script_of(code_point)) {
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
      return Kind::kana;
    // Scripts that put no spaces between words.
    case USCRIPT_HAN:
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR:
      return Kind::other;
    default:
      break;
  }
  const bool letter = code_point == '_' || u_isalnum(code_point) || (U_GET_GC_MASK(code_point) & U_GC_M_MASK) != 0;
  return letter ? Kind::word : Kind::other;
}

Folder::Piece Folder::piece_of(UChar32 code_point) {
  Piece piece{};
  std::int32_t size = 0;
  U8_APPEND_UNSAFE(piece.utf8.data(), size, code_point);
  piece.size = static_cast<std::uint8_t>(size);
  piece.kind = kind_of(code_point);
  return piece;
}

Folder::Entry Folder::compute(UChar32 code_point) {
  std::u16string text;
  append(code_point, text);
  std::u16string folded;
  for_each_code_point(icu_->bare(text), [this, &folded](UChar32 each) {
    if (has_look_alikes(each)) {
      folded += icu_->prototype(each);
    } else {
      append(each, folded);
    }
  });
  if (folded == text) return kItself | static_cast<Entry>(kind_of(code_point));
  const std::size_t first = pieces_.size();
  for_each_code_point(folded, [this](UChar32 each) { pieces_.push_back(piece_of(each)); });
  return static_cast<Entry>(first << 8 | (pieces_.size() - first + 1));
}

Folder::Entry Folder::entry_of(UChar32 code_point) {
  std::unique_ptr<Page>& page = pages_[static_cast<std::size_t>(code_point) / 256];
  if (!page) page = std::make_unique<Page>();
  Entry& entry = (*page)[static_cast<std::size_t>(code_point) % 256];
  if (entry == 0) entry = compute(code_point);
  return entry;
}

void Folder::fold(std::string_view text, Folded& out) {
  out.begin(text.size());
  Kind before = Kind::other;
  std::uint32_t at = 0;
  const auto begins = [&](Kind kind) {
    // Elsewhere than after a kana, a voicing mark is an accent.
    if (kind == before ? kind == Kind::space : kind == Kind::voicing && before != Kind::kana) return false;
    if ((kind == Kind::word) != (before == Kind::word)) out.put(kMark, at);
    before = kind;
    return true;
  };
  const auto put = [&](const char* bytes, std::size_t size, Kind kind) {
    out.reserve(size + 1);
    if (!begins(kind)) return;
    for (std::size_t i = 0; i < size; ++i) out.put(bytes[i], at);
  };
  const auto size = static_cast<std::int64_t>(text.size());
  for (std::int64_t i = 0; i < size;) {
    at = static_cast<std::uint32_t>(i);
    if (const auto first = static_cast<unsigned char>(text[at]); first < 0x80) {
      ++i;
      out.reserve(2);
      const Ascii folded = ascii_[first];
      if (folded.byte != '\0' && begins(folded.kind)) out.put(folded.byte, at);
      continue;
    }
    UChar32 code_point;
    U8_NEXT(text.data(), i, size, code_point);
    const Entry entry = entry_of(code_point < 0 ? kReplacement : code_point);
    if (code_point < 0) {
      put("\xEF\xBF\xBD", 3, Kind::other);
    } else if ((entry & kItself) != 0) {
      put(text.data() + at, static_cast<std::size_t>(i - at), static_cast<Kind>(entry & 0xFF));
    } else {
      const Piece* piece = pieces_.data() + (entry >> 8);
      for (Entry n = entry & 0xFF; n > 1; --n, ++piece) put(piece->utf8.data(), piece->size, piece->kind);
    }
  }
  at = static_cast<std::uint32_t>(size);
  out.reserve(1);
  if (before == Kind::word) out.put(kMark, at);
  out.end(text.size());
}

}  // namespace sealcast::core::terms
