// The rules of a stream about the text of its messages: how long it may be, whether it may have links, and whether it
// may have anything but emoji.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/terms/characters.h"
#include "core/terms/links.h"

namespace sealcast::core::terms {

// The rules that apply to one message.
struct TextRules {
  std::size_t max_chars = 0;  // characters (grapheme clusters) of all texts together; 0: no such rule
  bool no_links = false;
  bool emote_only = false;
  std::string_view t{};  // the type of the message

  bool any() const { return max_chars != 0 || no_links || emote_only; }
};

enum class TextRule : std::uint8_t { max_chars, links, emote_only };

// Returns whether a string of a message is text. A UUID and the name of the message's own type are not: applications
// put both into payloads, and readers do not see them.
bool is_text(std::string_view string, std::string_view t);

// Checks the texts of messages. Keep one and reuse it. Not thread-safe.
class TextJudge {
 public:
  explicit TextJudge(Folder& folder) : links_(folder) {}

  // Begins a message. `bytes` is the size of its payload.
  void begin(const TextRules& rules, std::size_t bytes);
  // Returns the rule that the next text of the message breaks, if any. `folded` is the folded text without marks, and
  // is used only if rules.no_links is set.
  std::optional<TextRule> broken_by(std::string_view text, std::string_view folded);

 private:
  Links links_;
  Characters characters_;
  TextRules rules_;
  std::size_t chars_left_ = 0;
};

// Returns whether the text has nothing but emoji, names of emotes such as :heart:, and white space.
bool has_only_emotes(std::string_view text, Characters& characters);

}  // namespace sealcast::core::terms
