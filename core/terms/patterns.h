// Finds which of several RE2 patterns match a text, and where.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/canonical_json.h"

// RE2's own header includes others that do not compile beside the macros of Postgres.
namespace re2 {
class RE2;
}

namespace sealcast::core::terms {

class Patterns;

// What the search for the places of matches has cost in one review, and the patterns that it has compiled alone: to
// keep them compiled for longer would need megabytes per pattern and backend. Keep one and reuse it. Not thread-safe.
class Effort {
 public:
  // Begins a review.
  void begin(CancelFlag cancel);
  // Frees the compiled patterns.
  void end() { compiled_.clear(); }

  // Throws Error{interrupted} if the cancel flag is set.
  void check() const;
  // Pays for one search of `bytes` bytes. Returns false if the review has no effort left for it.
  bool pay_search(std::size_t bytes) { return pay(kSearchCost + bytes); }

  // Returns the pattern `index` of `patterns`, compiled alone. `patterns` must stay valid until end().
  const re2::RE2& compiled(const Patterns& patterns, int index);
  // The same, but pays for the compilation. Returns null if the review has no effort left for it.
  const re2::RE2* paid(const Patterns& patterns, int index);

 private:
  // In bytes that RE2 reads, of which it reads some hundred million per second.
  static constexpr std::size_t kMost = 64 << 20;
  static constexpr std::size_t kSearchCost = 1'000;
  static constexpr std::size_t kCompileCost = 100'000;
  static constexpr std::size_t kMaxCompiled = 32;  // of kPatternMemory bytes each

  bool pay(std::size_t cost);

  CancelFlag cancel_ = nullptr;
  std::size_t left_ = kMost;
  std::map<std::pair<const Patterns*, int>, std::shared_ptr<re2::RE2>> compiled_;
};

// Immutable after compile(). A search takes time in proportion to the length of the text and to the size of the
// patterns; RE2 never backtracks.
class Patterns {
 public:
  // Adds a pattern, or returns why it cannot be added, for example "at byte 4: missing )".
  std::string add(const std::string& source, std::uint32_t id);
  // Call it once, after the last add() and before the first find(). Returns false, and has no patterns any more, if
  // they need more memory than kSetMemory.
  bool compile();

  bool empty() const { return sources_.empty(); }
  // The most that the patterns may need while texts are searched.
  std::size_t memory_bytes() const;

  struct Match {
    std::uint32_t id;
    std::size_t begin;
    std::size_t end;
  };

  // Appends the index of each pattern that matches somewhere in the text.
  void find(std::string_view text, Effort& effort, std::vector<int>& matching) const;
  std::uint32_t id(int index) const { return ids_[static_cast<std::size_t>(index)]; }
  // Appends the matches of one pattern, from left to right and not overlapping. After kMaxMatches matches, one more
  // covers the rest of the text: each match may read the text to its end. If no effort is left, one covers all of it.
  void locate(int index, std::string_view text, Effort& effort, std::vector<Match>& matches) const;

 private:
  friend class Effort;
  static constexpr int kMaxMatches = 100;

  struct Set;

  int instructions_ = 0;
  std::shared_ptr<Set> set_;
  std::vector<std::string> sources_;
  std::vector<std::uint32_t> ids_;
};

}  // namespace sealcast::core::terms
