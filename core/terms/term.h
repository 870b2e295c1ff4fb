// A blocked term, as a row of sealcast.blocked_terms has it, and its limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sealcast::core::terms {

enum class Kind : std::uint8_t { literal, wildcard, pattern };

// From the strongest to the weakest.
enum class Action : std::uint8_t { refuse, hold, mask, flag };
inline constexpr std::size_t kActions = 4;

std::optional<Kind> kind_named(std::string_view name);
std::optional<Action> action_named(std::string_view name);

struct Term {
  std::string_view text;
  Kind kind;
  bool whole_word;  // of a pattern always false: a pattern states its own limits
  Action action;
};

// Returns whether the term is a pattern, or a wildcard with * or ? inside, which becomes one.
bool needs_pattern(const Term& term);

inline constexpr std::size_t kMaxTermBytes = 200;  // a literal or a wildcard
// What a literal or a wildcard may have after folding: a few characters fold to ten times their bytes, and each byte
// costs memory in every backend. A syllable of Hangul folds to three times its bytes.
inline constexpr std::size_t kMaxFoldedFactor = 3;
inline constexpr std::size_t kMaxFoldedMore = 32;
inline constexpr std::size_t kMaxPatternBytes = 500;  // a pattern
// Of one stream, or of all streams together:
inline constexpr std::size_t kMaxTerms = 10'000;
// The next limits apply to patterns, and again to wildcards that need_pattern() is true for.
inline constexpr std::size_t kMaxPatterns = 100;
inline constexpr int kMaxInstructions = 10'000;          // of RE2, of all of them together
inline constexpr std::int64_t kPatternMemory = 1 << 20;  // bytes of RE2, for one of them alone
inline constexpr std::int64_t kSetMemory = 4 << 20;      // bytes of RE2, for all of them together

}  // namespace sealcast::core::terms
