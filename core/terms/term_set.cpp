// Compiles blocked terms: literals and simple wildcards into one automaton, all others into patterns of RE2.
#include "core/terms/term_set.h"

#include <re2/re2.h>

#include <algorithm>

namespace sealcast::core::terms {
namespace {

constexpr std::string_view kNothing = "nothing of it is left after folding";

bool is_wild(char c) { return c == '*' || c == '?'; }

// Returns the term without the * at its ends, which need no pattern.
std::string_view core_of(const Term& term) {
  std::string_view text = term.text;
  if (term.kind != Kind::wildcard) return text;
  while (text.starts_with('*')) text.remove_prefix(1);
  while (text.ends_with('*')) text.remove_suffix(1);
  return text;
}

void trim_left(std::string& text, char what) { text.erase(0, std::min(text.find_first_not_of(what), text.size())); }

void trim_right(std::string& text, char what) { text.erase(text.find_last_not_of(what) + 1); }

bool in_word(char c) { return c != ' ' && c != kMark; }

// Returns the bytes of a word before and after `at`. `last` is the answer to the call before in the same text.
const Findings::Range& word_at(std::string_view text, std::size_t at, Findings::Range& last) {
  if (last.begin <= at && at <= last.end && last.begin < last.end) return last;
  last = {at, at};
  while (last.begin > 0 && in_word(text[last.begin - 1])) --last.begin;
  while (last.end < text.size() && in_word(text[last.end])) ++last.end;
  return last;
}

// Returns whether a syllable of Hangul goes on at `at`: its letters are folded apart, but a syllable is not a part of
// another one. The same holds for a kana and its voicing mark.
bool is_inside_character(std::string_view text, std::size_t at) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (at + 3 > text.size() || at < 3) return false;
  // U+3099 and U+309A; folding keeps them only after a kana.
  if (byte(at) == 0xE3 && byte(at + 1) == 0x82 && (byte(at + 2) == 0x99 || byte(at + 2) == 0x9A)) return true;
  // U+1160 to U+11FF after U+1100 to U+11FF: a vowel or a final consonant.
  const bool after_letter = byte(at - 3) == 0xE1 && byte(at - 2) >= 0x84 && byte(at - 2) <= 0x87;
  const bool later_letter = byte(at) == 0xE1 && (byte(at + 1) == 0x86 || byte(at + 1) == 0x87 ||
                                                 (byte(at + 1) == 0x85 && byte(at + 2) >= 0xA0));
  return after_letter && later_letter;
}

}  // namespace

bool needs_pattern(const Term& term) {
  if (term.kind != Kind::wildcard) return term.kind == Kind::pattern;
  const std::string_view text = core_of(term);
  return std::any_of(text.begin(), text.end(), is_wild);
}

std::optional<Kind> kind_named(std::string_view name) {
  if (name == "literal") return Kind::literal;
  if (name == "wildcard") return Kind::wildcard;
  if (name == "pattern") return Kind::pattern;
  return std::nullopt;
}

std::optional<Action> action_named(std::string_view name) {
  if (name == "refuse") return Action::refuse;
  if (name == "hold") return Action::hold;
  if (name == "mask") return Action::mask;
  if (name == "flag") return Action::flag;
  return std::nullopt;
}

void Text::assign(std::string_view text, Folder& folder) {
  sent_ = text;
  has_unmarked_ = false;
  folder.fold(text, folded_);
}

const Folded& Text::unmarked() {
  if (has_unmarked_) return unmarked_;
  const std::string_view marked = folded_.bytes();
  unmarked_.begin(marked.size());
  for (std::size_t i = 0; i < marked.size(); ++i) {
    if (marked[i] != kMark) unmarked_.put(marked[i], static_cast<std::uint32_t>(folded_.begin_of(i)));
  }
  unmarked_.end(sent_.size());
  has_unmarked_ = true;
  return unmarked_;
}

void Findings::clear() {
  refused_by.reset();
  held_by.reset();
  flagged_by.clear();
  masks.clear();
}

TermSet::TermSet(std::span<const Term> terms, Folder& folder, std::vector<Rejected>& rejected) {
  std::vector<Literals::Key> keys;
  for (std::uint32_t number = 0; number < terms.size(); ++number) {
    std::string problem = add(terms[number], number, folder, keys);
    if (!problem.empty()) rejected.push_back({number, std::move(problem)});
  }
  literals_ = Literals(std::move(keys));
  const bool compiled[] = {wildcards_.compile(), patterns_.compile()};
  for (std::uint32_t number = 0; number < terms.size() && !(compiled[0] && compiled[1]); ++number) {
    const bool pattern = terms[number].kind == Kind::pattern;
    if (compiled[pattern ? 1 : 0] || !needs_pattern(terms[number])) continue;
    rejected.push_back({number, "all patterns together need too much memory"});
  }
  needles_.shrink_to_fit();
}

std::uint32_t TermSet::add_needle(Needle needle) {
  needles_.push_back(needle);
  return static_cast<std::uint32_t>(needles_.size() - 1);
}

std::string TermSet::add(const Term& term, std::uint32_t number, Folder& folder, std::vector<Literals::Key>& keys) {
  const std::size_t limit = term.kind == Kind::pattern ? kMaxPatternBytes : kMaxTermBytes;
  if (term.text.size() > limit) {
    return "it has " + std::to_string(term.text.size()) + " bytes, but at most " + std::to_string(limit) +
           " are allowed";
  }
  if (term.kind != Kind::pattern) return add_words(term, number, folder, keys);
  const Needle needle{number, 0, term.action, false, false};
  std::string problem = patterns_.add(std::string(term.text), static_cast<std::uint32_t>(needles_.size()));
  if (problem.empty()) add_needle(needle);
  return problem;
}

// A wildcard with * only at its ends is a literal that need not begin, or end, where a word does.
std::string TermSet::add_words(const Term& term, std::uint32_t number, Folder& folder,
                               std::vector<Literals::Key>& keys) {
  const bool wild = term.kind == Kind::wildcard;
  Needle needle{number, 0, term.action, wild && term.text.starts_with('*'), wild && term.text.ends_with('*')};
  std::string_view rest = core_of(term);
  Folded folded;
  folder.fold(term.text, folded);
  const std::size_t most = kMaxFoldedFactor * term.text.size() + kMaxFoldedMore;
  if (folded.bytes().size() > most) {
    return "it has " + std::to_string(folded.bytes().size()) + " bytes after folding, but at most " +
           std::to_string(most) + " are allowed";
  }
  const auto fold = [&](std::string_view piece, bool first, bool last) {
    folder.fold(piece, folded);
    std::string out(folded.bytes());
    if (first) trim_left(out, ' ');
    if (last) trim_right(out, ' ');
    if (!first || needle.open_left || !term.whole_word) trim_left(out, kMark);
    if (!last || needle.open_right || !term.whole_word) trim_right(out, kMark);
    return out;
  };
  if (!needs_pattern(term)) {
    std::string bytes = fold(rest, true, true);
    if (bytes.empty() || (bytes.size() == 1 && bytes[0] == kMark)) return std::string(kNothing);
    needle.size = static_cast<std::uint32_t>(bytes.size());
    // Masks that reach differently far are in different groups: the longest of each group is found.
    static_assert(Literals::kGroups == 4 * kActions);
    const std::size_t reach = (needle.open_left ? 1U : 0U) + (needle.open_right ? 2U : 0U);
    const std::size_t group = static_cast<std::size_t>(term.action) + kActions * reach;
    keys.push_back({std::move(bytes), add_needle(needle), static_cast<std::uint8_t>(group)});
    return {};
  }
  // Where a whole word begins or ends with ?, which is perhaps no letter.
  constexpr std::string_view kBegins = "(?:^|[\\x01 ])", kEnds = "(?:$|[\\x01 ])";
  std::string pattern;
  bool any = false;
  for (bool first = true;; first = false) {
    const std::size_t end = static_cast<std::size_t>(std::find_if(rest.begin(), rest.end(), is_wild) - rest.begin());
    const bool last = end == rest.size();
    const std::string piece = fold(rest.substr(0, end), first, last);
    any = any || !piece.empty();
    if (piece.empty() && term.whole_word && first && !needle.open_left) pattern += kBegins;
    if (piece.empty() && term.whole_word && last && !needle.open_right) pattern += kEnds;
    pattern += RE2::QuoteMeta(piece);
    if (last) break;
    // One character may be a word of its own, with marks around it.
    pattern += rest[end] == '*' ? "[^ ]*?" : "\\x01?[^ \\x01]\\x01?";
    rest.remove_prefix(end + 1);
  }
  if (!any) return "it has nothing but * and ?";
  std::string problem = wildcards_.add(pattern, static_cast<std::uint32_t>(needles_.size()));
  if (problem.empty()) add_needle(needle);
  return problem;
}

// Records a match. Returns false if nothing more needs to be found.
bool TermSet::take(const Needle& needle, const Folded& text, std::size_t begin, std::size_t end,
                   Findings& findings) const {
  switch (needle.action) {
    case Action::refuse:
      findings.refused_by = needle.term;
      return false;
    case Action::hold:
      if (!findings.held_by) findings.held_by = needle.term;
      return true;
    case Action::flag: {
      std::vector<std::uint32_t>& terms = findings.flagged_by;
      if (terms.size() < Findings::kMaxFlags && std::find(terms.begin(), terms.end(), needle.term) == terms.end()) {
        terms.push_back(needle.term);
      }
      return true;
    }
    case Action::mask:
      break;
  }
  const std::string_view bytes = text.bytes();
  if (needle.open_left) begin = word_at(bytes, begin, findings.begin_word).begin;
  if (needle.open_right) end = word_at(bytes, end, findings.end_word).end;
  while (begin < end && !in_word(bytes[begin])) ++begin;
  while (begin < end && !in_word(bytes[end - 1])) --end;
  if (begin >= end) return true;
  const Findings::Range range{text.begin_of(begin), text.end_of(end - 1)};
  const bool known =
      !findings.masks.empty() && findings.masks.back().begin <= range.begin && range.end <= findings.masks.back().end;
  if (!known) findings.masks.push_back(range);
  return true;
}

void TermSet::find_literals(const Folded& text, Findings& findings) const {
  const std::string_view bytes = text.bytes();
  literals_.find(bytes, [&](std::size_t end, const Literals::Ends& ends) {
    if (is_inside_character(bytes, end)) return true;
    for (const std::uint32_t id : ends) {
      if (id == Literals::kNone) continue;
      const Needle& needle = needles_[id];
      if (!take(needle, text, end - needle.size, end, findings)) return false;
    }
    return true;
  });
}

// `folded`: null if the text is as it was sent.
void TermSet::find_patterns(const Patterns& patterns, std::string_view text, const Folded* folded, Effort& effort,
                            Findings& findings) const {
  std::vector<int> matching;
  patterns.find(text, effort, matching);
  std::vector<Patterns::Match> matches;
  for (const int index : matching) {
    const Needle& needle = needles_[patterns.id(index)];
    static const Folded kNone;
    if (needle.action != Action::mask) {
      if (!take(needle, kNone, 0, 0, findings)) return;
      continue;
    }
    matches.clear();
    patterns.locate(index, text, effort, matches);
    for (const Patterns::Match& match : matches) {
      if (folded == nullptr) {
        findings.masks.push_back({match.begin, match.end});
      } else {
        take(needle, *folded, match.begin, match.end, findings);
      }
    }
  }
}

void TermSet::find(Text& text, Effort& effort, Findings& findings) const {
  findings.begin_word = findings.end_word = {};
  find_literals(text.folded(), findings);
  if (findings.refused_by) return;
  if (!wildcards_.empty()) find_patterns(wildcards_, text.folded().bytes(), &text.folded(), effort, findings);
  if (findings.refused_by || patterns_.empty()) return;
  find_patterns(patterns_, text.as_sent(), nullptr, effort, findings);
  if (findings.refused_by) return;
  find_patterns(patterns_, text.unmarked().bytes(), &text.unmarked(), effort, findings);
}

std::size_t TermSet::memory_bytes() const {
  return sizeof *this + needles_.capacity() * sizeof(Needle) + literals_.memory_bytes() + wildcards_.memory_bytes() +
         patterns_.memory_bytes();
}

std::string problem_of(const Term& term, std::span<const Term> others, Folder& folder) {
  std::vector<Term> all(others.begin(), others.end());
  all.push_back(term);
  std::vector<TermSet::Rejected> rejected;
  const TermSet compiled(all, folder, rejected);
  if (rejected.empty() || rejected.back().number + 1 != all.size()) return {};
  return rejected.back().problem;
}

}  // namespace sealcast::core::terms
