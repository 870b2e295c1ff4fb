// The blocked terms of one stream, or of all streams, compiled for matching.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/terms/folding.h"
#include "core/terms/literals.h"
#include "core/terms/patterns.h"
#include "core/terms/term.h"

namespace sealcast::core::terms {

// A text to be matched, in the forms in which the parts of a TermSet read it. Keep one and reuse its memory.
class Text {
 public:
  // `text` must stay valid while this object is used.
  void assign(std::string_view text, Folder& folder);

  std::string_view as_sent() const { return sent_; }
  const Folded& folded() const { return folded_; }
  // The folded text without marks.
  const Folded& unmarked();

 private:
  std::string_view sent_;
  Folded folded_;
  Folded unmarked_;
  bool has_unmarked_ = false;
};

// What was found in a text, or in several.
struct Findings {
  // A part of the text that must be masked.
  struct Range {
    std::size_t begin;
    std::size_t end;
  };

  std::optional<std::uint32_t> refused_by;  // the first term found with the action refuse
  std::optional<std::uint32_t> held_by;     // the first term found with the action hold
  std::vector<std::uint32_t> flagged_by;    // different terms, at most kMaxFlags
  std::vector<Range> masks;                 // in no order; they may overlap

  static constexpr std::size_t kMaxFlags = 8;
  void clear();

  // The words of the folded text in which a match has last begun and ended that reaches to the limits of its word.
  // Without them, each of many matches in a long word would read it to its ends.
  Range begin_word{};
  Range end_word{};
};

// Immutable. A term is known by its number, which is its place in the list of terms.
class TermSet {
 public:
  struct Rejected {
    std::uint32_t number;
    std::string problem;  // a clause: "at byte 4: missing )"
  };

  // Compiles the terms. Terms that cannot be compiled are left out and appended to `rejected`. `text` of the terms is
  // not used any more afterwards.
  TermSet(std::span<const Term> terms, Folder& folder, std::vector<Rejected>& rejected);

  // Adds to `findings` what the text contains. Stops at the first term with the action refuse. Where `effort` has none
  // left, a match masks the whole text.
  void find(Text& text, Effort& effort, Findings& findings) const;

  // The most memory that the set may need.
  std::size_t memory_bytes() const;

 private:
  // How a term is found: the number of its term, and what a match of it covers.
  struct Needle {
    std::uint32_t term;
    std::uint32_t size;  // of a literal: bytes
    Action action;
    bool open_left;  // a match extends to the beginning of the word, or to its end
    bool open_right;
  };

  std::string add(const Term& term, std::uint32_t number, Folder& folder, std::vector<Literals::Key>& keys);
  std::string add_words(const Term& term, std::uint32_t number, Folder& folder, std::vector<Literals::Key>& keys);
  std::uint32_t add_needle(Needle needle);
  bool take(const Needle& needle, const Folded& text, std::size_t begin, std::size_t end, Findings& findings) const;
  void find_literals(const Folded& text, Findings& findings) const;
  void find_patterns(const Patterns& patterns, std::string_view text, const Folded* folded, Effort& effort,
                     Findings& findings) const;

  std::vector<Needle> needles_;
  Literals literals_;
  Patterns wildcards_;  // searched in the folded text with its marks
  Patterns patterns_;   // searched in the text as sent and in the folded text without marks
};

// Returns why the term cannot be added beside `others`, which are the patterns and the wildcards of the same stream; an
// empty text if it can be added.
std::string problem_of(const Term& term, std::span<const Term> others, Folder& folder);

}  // namespace sealcast::core::terms
