// Checks texts against the rules of a stream. Emoji are found by the properties of ICU.
#include "core/terms/text_rules.h"

#include <unicode/uchar.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <string>

#include "core/uuid.h"

namespace sealcast::core::terms {
namespace {

constexpr UChar32 kJoiner = 0x200D;
constexpr UChar32 kEmojiStyle = 0xFE0F;  // the variation selector
constexpr UChar32 kFirstBehindLatin1 = 0x100;

// The longest emoji that Unicode recommends has ten code points.
constexpr std::size_t kMaxCodePoints = 16;
constexpr std::size_t kMaxName = 64;  // bytes of the name of an emote

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';
}

// Returns the end of the name of an emote with its colons that begins at `at`; `at` if there is none.
std::size_t end_of_name(std::string_view text, std::size_t at) {
  if (text[at] != ':') return at;
  std::size_t end = at + 1;
  while (end < text.size() && end - at <= kMaxName && is_name(text[end])) ++end;
  return end > at + 1 && end < text.size() && text[end] == ':' ? end + 1 : at;
}

// The code points of a character, up to kMaxCodePoints of them.
struct CodePoints {
  std::array<UChar32, kMaxCodePoints> values;
  std::size_t count = 0;
  std::array<UChar, 2 * kMaxCodePoints> utf16;
  std::int32_t units = 0;
  bool complete = true;

  explicit CodePoints(std::string_view character) {
    const auto size = static_cast<std::int32_t>(character.size());
    for (std::int32_t i = 0; i < size;) {
      UChar32 code_point;
      U8_NEXT(character.data(), i, size, code_point);
      if (code_point < 0 || count == values.size()) {
        complete = false;
        return;
      }
      values[count++] = code_point;
      U16_APPEND_UNSAFE(utf16.data(), units, code_point);
    }
  }
};

// Returns whether the code point is a picture of its own. Digits, © and ® are emoji only with the variation selector,
// and the letters of flags only in pairs.
bool is_picture(UChar32 code_point) {
  return code_point >= kFirstBehindLatin1 && u_hasBinaryProperty(code_point, UCHAR_EMOJI) &&
         !u_hasBinaryProperty(code_point, UCHAR_REGIONAL_INDICATOR);
}

// Returns whether the character is an emoji that Unicode recommends (RGI), or one as some keyboards send it: joined
// pictures without their variation selectors.
bool is_emoji(std::string_view character) {
  const CodePoints points(character);
  if (!points.complete) return false;
  if (u_stringHasBinaryProperty(points.utf16.data(), points.units, UCHAR_RGI_EMOJI)) return true;
  for (std::size_t i = 0;;) {
    if (i == points.count || !is_picture(points.values[i++])) return false;
    if (i < points.count && points.values[i] == kEmojiStyle) ++i;
    if (i < points.count && u_hasBinaryProperty(points.values[i], UCHAR_EMOJI_MODIFIER)) ++i;
    if (i == points.count) return true;
    if (points.values[i++] != kJoiner) return false;
  }
}

bool is_white_space(std::string_view character) {
  const CodePoints points(character);
  return points.complete && std::all_of(points.values.begin(), points.values.begin() + points.count, u_isUWhiteSpace);
}

}  // namespace

bool is_text(std::string_view string, std::string_view t) {
  if (string == t) return false;
  constexpr std::size_t kUuidBytes = kNilUuid.size();
  if (string.size() != kUuidBytes || string[8] != '-') return true;
  std::string normalized;
  return !normalize_uuid(string, normalized);
}

bool has_only_emotes(std::string_view text, Characters& characters) {
  if (text.empty()) return true;
  characters.assign(text);
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t end = end_of_name(text, at); end != at) {
      at = end;
      continue;
    }
    const std::size_t end = characters.end_after(at);
    const std::string_view character = text.substr(at, end - at);
    if (!is_white_space(character) && !is_emoji(character)) return false;
    at = end;
  }
  return true;
}

void TextJudge::begin(const TextRules& rules, std::size_t bytes) {
  rules_ = rules;
  // A character has at least one byte, so a small payload needs no counting.
  if (bytes <= rules.max_chars) rules_.max_chars = 0;
  chars_left_ = rules_.max_chars;
}

std::optional<TextRule> TextJudge::broken_by(std::string_view text, std::string_view folded) {
  if (!is_text(text, rules_.t)) return std::nullopt;
  if (rules_.max_chars != 0) {
    const std::size_t chars = characters_.count(text, chars_left_);
    if (chars > chars_left_) return TextRule::max_chars;
    chars_left_ -= chars;
  }
  if (rules_.no_links && links_.in(folded)) return TextRule::links;
  if (rules_.emote_only && !has_only_emotes(text, characters_)) return TextRule::emote_only;
  return std::nullopt;
}

}  // namespace sealcast::core::terms
