// Searches the text of a payload for blocked terms, masks what must be masked, and checks the rules of a stream about
// text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/terms/term_set.h"
#include "core/terms/text_rules.h"

namespace sealcast::core::terms {

// A term that was found: its set, by its place in the list of sets, and its number in that set.
struct Found {
  std::size_t set;
  std::uint32_t number;
};

struct Review {
  std::optional<TextRule> broken;   // a rule of the stream that the text breaks
  std::optional<Found> refused_by;  // a term with the action refuse
  std::optional<Found> held_by;     // a term with the action hold
  std::vector<Found> flagged_by;    // different terms, at most Findings::kMaxFlags of each set
  bool masked = false;
  std::string payload;  // if `masked`: the canonical payload with * in the place of each masked character
};

// Reviews payloads. Keep one and reuse its memory. Not thread-safe.
class Reviewer {
 public:
  // Searches all Strings of a canonical JSON object, and checks those that are text against `rules`. Stops at the first
  // refusal or broken rule. Replaces `out`. A payload whose matches cannot be located with an Effort has whole strings
  // masked. Throws Error{interrupted} if `cancel` is set.
  void review(std::string_view canonical, std::string_view server_member, std::span<const TermSet* const> sets,
              Review& out, CancelFlag cancel = nullptr, const TextRules& rules = {});

  Folder& folder() { return folder_; }

 private:
  bool review_text(std::span<const TermSet* const> sets, Review& out);

  Folder folder_;
  Text text_;
  TextJudge judge_{folder_};
  Effort effort_;
  Findings findings_;
  std::vector<Findings::Range> masks_;
  std::string decoded_;
};

// Replaces each character (grapheme cluster) of the ranges by one *. A range that begins or ends within a character
// covers it. `ranges` is changed.
std::string masked(std::string_view text, std::vector<Findings::Range>& ranges);

}  // namespace sealcast::core::terms
