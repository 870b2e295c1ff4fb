// Counts and delimits grapheme clusters by the break iterator of ICU.
#include "core/terms/characters.h"

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <algorithm>

#include "core/error.h"

namespace sealcast::core::terms {

struct Characters::Icu {
  UText* text = nullptr;
  UBreakIterator* breaks = nullptr;

  Icu() = default;
  ~Icu() {
    if (breaks != nullptr) ubrk_close(breaks);
    if (text != nullptr) utext_close(text);
  }
  Icu(const Icu&) = delete;
  Icu& operator=(const Icu&) = delete;
};

Characters::Characters() : icu_(std::make_unique<Icu>()) {}
Characters::~Characters() = default;

void Characters::assign(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  size_ = text.size();
  if (icu_->breaks == nullptr) icu_->breaks = ubrk_open(UBRK_CHARACTER, "", nullptr, 0, &status);
  icu_->text = utext_openUTF8(icu_->text, text.data(), static_cast<std::int64_t>(size_), &status);
  if (U_SUCCESS(status)) ubrk_setUText(icu_->breaks, icu_->text, &status);
  if (U_SUCCESS(status)) return;
  throw Error(ErrorKind::invalid_argument, "ICU cannot find the characters of a text", u_errorName(status),
              "Install the data of ICU (libicu).");
}

std::size_t Characters::begin_at_or_before(std::size_t at) {
  const auto offset = static_cast<std::int32_t>(at);
  return static_cast<std::size_t>(ubrk_isBoundary(icu_->breaks, offset) ? offset
                                                                        : ubrk_preceding(icu_->breaks, offset));
}

std::size_t Characters::end_after(std::size_t at) {
  const std::int32_t next = ubrk_following(icu_->breaks, static_cast<std::int32_t>(at));
  return next == UBRK_DONE ? size_ : static_cast<std::size_t>(next);
}

std::size_t Characters::count(std::string_view text, std::size_t most) {
  std::size_t found = 0;
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
    // In ASCII only CR LF is one character of two bytes.
    for (std::size_t at = text.find("\r\n"); at != std::string_view::npos; at = text.find("\r\n", at + 2)) ++found;
    return text.size() - found;
  }
  assign(text);
  ubrk_first(icu_->breaks);
  while (found <= most && ubrk_next(icu_->breaks) != UBRK_DONE) ++found;
  return found;
}

}  // namespace sealcast::core::terms
