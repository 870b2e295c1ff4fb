// Tests folding, the matching of blocked terms and masking. A naive matcher gives the expected matches for random terms
// and texts.
#include "core/terms/term_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "core/canonical_json.h"
#include "core/terms/review.h"

namespace sealcast::core::terms {
namespace {

std::string folded(std::string_view text) {
  Folder folder;
  Folded out;
  folder.fold(text, out);
  std::string shown(out.bytes());
  std::replace(shown.begin(), shown.end(), kMark, '|');
  return shown;
}

TEST(Folding, DropsCaseAccentsAndWhatIsInvisible) {
  EXPECT_EQ(folded("Hello, World"), "|hello|, |world|");
  EXPECT_EQ(folded("CAF\u00c9 caf\u0065\u0301"), "|cafe| |cafe|");
  EXPECT_EQ(folded("z\u0300\u0301\u0302a\u200b\u200d\u2060l\u00adg\u202eo\ufeff"), "|zalgo|");
  EXPECT_EQ(folded("\u0141\u00f8\u0111"), "|lod|");
  EXPECT_EQ(folded("stra\u00dfe"), "|strasse|");
  EXPECT_EQ(folded("\t a\u00a0\u3000b\n"), " |a| |b| ");
  EXPECT_EQ(folded(std::string("a\x01\x7f"
                               "b\0c",
                               6)),
            "|abc|");
  EXPECT_EQ(folded(""), "");
}

TEST(Folding, FoldsLookAlikesToAscii) {
  EXPECT_EQ(folded("\u0440\u0430\u0443\u0440\u0430l"), "|paypal|");  // Cyrillic
  EXPECT_EQ(folded("\uff21\U0001d400\U0001f130"), folded("aaa"));    // fullwidth, mathematical, squared
  EXPECT_EQ(folded("\u2133"), "|m|");
  EXPECT_EQ(folded("m rn 1 l I 0 O"), "|m| |rn| |1| |l| |i| |0| |o|");  // ASCII stays apart
}

TEST(Folding, KeepsTheCharactersOfOtherScripts) {
  EXPECT_EQ(folded("\ud55c"), folded("\u1112\u1161\u11ab"));
  EXPECT_NE(folded("\u304b"), folded("\u304c"));
  EXPECT_EQ(folded("\u304b\u3099"), folded("\u304c"));
  EXPECT_EQ(folded("a\u3099"), "|a|");
  EXPECT_EQ(folded("\u4f60\u597d"), "\u4f60\u597d");
}

TEST(Folding, TakesBytesThatAreNotUtf8) {
  EXPECT_EQ(folded("a\xff"
                   "b\xe2\x82"),
            "|a|\ufffd|b|\ufffd");
}

// Returns what a set of one term finds: the first letter of the action, or the masked text.
std::string outcome(const Term& term, std::string_view text) {
  Folder folder;
  std::vector<TermSet::Rejected> rejected;
  const TermSet set({&term, 1}, folder, rejected);
  if (!rejected.empty()) return rejected[0].problem;
  Text reader;
  reader.assign(text, folder);
  Effort effort;
  Findings findings;
  set.find(reader, effort, findings);
  if (findings.refused_by) return "refused";
  if (!findings.flagged_by.empty()) return "flagged";
  return masked(text, findings.masks);
}

std::string mask(std::string_view term, std::string_view text, Kind kind = Kind::literal, bool whole_word = true) {
  return outcome({term, kind, whole_word, Action::mask}, text);
}

TEST(TermSet, FindsWholeWordsAndParts) {
  EXPECT_EQ(mask("ass", "ass, class Ass-hat"), "***, class ***-hat");
  EXPECT_EQ(mask("ass", "class", Kind::literal, false), "cl***");
  EXPECT_EQ(mask("$$$", "a$$$b"), "a***b");
  EXPECT_EQ(mask("go away", "Go   Away now"), "********* now");
  EXPECT_EQ(mask("a.b", "x a.b a.bc"), "x *** a.bc");
  EXPECT_EQ(mask("\u6b7b", "\u4f60\u6b7b\u5427"), "\u4f60*\u5427");
}

TEST(TermSet, FindsNoPartOfASyllable) {
  EXPECT_EQ(mask("\uac00", "\uac01", Kind::literal, false), "\uac01");
  EXPECT_EQ(mask("\uac00", "\uac00\uac01", Kind::literal, false), "*\uac01");
  EXPECT_EQ(mask("\u304b", "\u304c\u304b", Kind::literal, false), "\u304c*");
}

TEST(TermSet, MasksCharactersAsReadersSeeThem) {
  EXPECT_EQ(mask("cafe", "un caf\u0065\u0301!"), "un ****!");
  EXPECT_EQ(mask("off", "o\ufb03ce", Kind::literal, false), "**ce");
  EXPECT_EQ(mask("bad", "b\u200ba\u200bd\u200b bad"), "****** ***");  // a zero-width space is a character
  EXPECT_EQ(mask("\U0001f595", "x\U0001f595\U0001f3fdy"), "x*y");
  // One character of three people: the match begins and ends within it.
  EXPECT_EQ(mask("\U0001f469", "x\U0001f468\u200d\U0001f469\u200d\U0001f467y", Kind::literal, false), "x*y");
}

TEST(TermSet, FindsWildcards) {
  EXPECT_EQ(mask("ass*", "asset lass ass", Kind::wildcard), "***** lass ***");
  EXPECT_EQ(mask("*ass", "asset lass ass", Kind::wildcard), "asset **** ***");
  EXPECT_EQ(mask("*ass*", "asset lasso as", Kind::wildcard), "***** ***** as");
  EXPECT_EQ(mask("f*k", "f***k FORK forks f k", Kind::wildcard), "***** **** forks f k");
  EXPECT_EQ(mask("f?k", "f\u00e4k fk f-k", Kind::wildcard), "*** fk ***");
  EXPECT_EQ(mask("?op", "pop op popp", Kind::wildcard), "*** op popp");
  EXPECT_EQ(mask("a*b", "xaXXbx", Kind::wildcard, false), "x****x");
  EXPECT_EQ(mask("kill * now", "kill him now", Kind::wildcard), "************");
}

TEST(TermSet, FindsPatterns) {
  EXPECT_EQ(mask("\\d{3}-\\d{4}", "555-1234 \u0661", Kind::pattern, false), "******** \u0661");
  EXPECT_EQ(mask("\\bhttps?://\\S+", "see HTTP://x.y/z?", Kind::pattern, false), "see *************");
  EXPECT_EQ(mask("\u043f\u0440\u0438\u0432\u0435\u0442", "\u041f\u0420\u0418\u0412\u0415\u0422", Kind::pattern, false),
            "******");
  EXPECT_EQ(mask("paypal", "\u0440\u0430\u0443\u0440\u0430l", Kind::pattern, false), "******");
}

TEST(TermSet, RefusesTermsThatCannotBeMatched) {
  EXPECT_EQ(mask("a(b", "", Kind::pattern, false), "at byte 0: missing ): a(b");
  EXPECT_EQ(mask("ab[", "", Kind::pattern, false), "at byte 2: missing ]: [");
  EXPECT_EQ(mask("x*", "", Kind::pattern, false), "it matches the empty text");
  EXPECT_EQ(mask("\u200b", ""), "nothing of it is left after folding");
  EXPECT_EQ(mask("*?*", "", Kind::wildcard), "it has nothing but * and ?");
  EXPECT_EQ(mask(std::string(201, 'x'), ""), "it has 201 bytes, but at most 200 are allowed");
  const std::string large = "(\\pL|\\pN){60}";
  EXPECT_NE(mask(large, "", Kind::pattern, false), "");
}

TEST(TermSet, RefusesTermsThatFoldToManyTimesTheirBytes) {
  const auto repeated = [](std::string_view text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  // U+FDFA has 3 bytes, and 18 letters after folding.
  const std::string name = "\uFDFA";
  EXPECT_EQ(mask(name, "x " + name), "x *");
  EXPECT_TRUE(mask(repeated(name, 60), "").starts_with("it has ")) << mask(repeated(name, 60), "");
  EXPECT_TRUE(mask(repeated(name, 60) + "*x", "", Kind::wildcard).ends_with(" are allowed"));
  // The longest terms in the scripts whose folded text is the longest.
  const std::string hangul = repeated("\ud55c", 66), han = repeated("\u4f60", 66), kana = repeated("\u304c", 66);
  for (const std::string& text : {hangul, han, kana}) EXPECT_EQ(mask(text, text), std::string(66, '*'));
}

TEST(TermSet, NeedsLimitedMemoryForTheTermsThatNeedMost) {
  // As many terms, and as many bytes, as a stream may have (32_blocked_terms.sql).
  std::vector<std::string> texts;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kMaxTerms; ++i) {
    texts.push_back(std::to_string(10'000 + i) + "\uFDFA\ud55c\ud55c\ud55c\ud55c\ud55c\ud55c");
    bytes += texts.back().size();
  }
  ASSERT_LE(bytes, 256 * 1024);
  std::vector<Term> terms;
  for (const std::string& text : texts) terms.push_back({text, Kind::literal, true, Action::mask});
  Folder folder;
  std::vector<TermSet::Rejected> rejected;
  const std::size_t memory = TermSet(terms, folder, rejected).memory_bytes();
  EXPECT_TRUE(rejected.empty());
  EXPECT_LT(memory, 20'000'000);
}

TEST(TermSet, HasAtMost100Patterns) {
  Folder folder;
  const std::vector<Term> others(kMaxPatterns, Term{"a+b", Kind::pattern, false, Action::flag});
  EXPECT_EQ(problem_of({"c+d", Kind::pattern, false, Action::flag}, others, folder), "there are already 100 patterns");
  EXPECT_EQ(problem_of({"c+d", Kind::pattern, false, Action::flag}, std::span(others).subspan(1), folder), "");
}

TEST(TermSet, MatchesInLinearTime) {
  // A backtracking matcher would need 2^n steps for these patterns; the test would not end.
  const std::string text(1 << 18, 'a');
  EXPECT_EQ(outcome({"(a*)*b", Kind::pattern, false, Action::flag}, text), text);
  EXPECT_EQ(outcome({"(a|aa)+$x", Kind::pattern, false, Action::flag}, text), text);
  EXPECT_EQ(outcome({"a*a*a*a*b", Kind::wildcard, false, Action::flag}, text), text);
  // Many keys end at each position, and each match of a mask reads the text to its end.
  EXPECT_EQ(mask("a", text, Kind::literal, false), std::string(text.size(), '*'));
  EXPECT_EQ(mask("a.*b|a", text, Kind::pattern, false), std::string(text.size(), '*'));
}

// The same as TermSet for literals, by the definition: the folded term is somewhere in the folded text.
struct Naive {
  bool refused = false;
  std::set<std::uint32_t> flagged;
  std::vector<bool> masked;  // per byte of the folded text
};

Naive naive(std::span<const std::pair<std::string, Action>> keys, std::string_view text) {
  Naive found;
  found.masked.resize(text.size());
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    const auto& [key, action] = keys[i];
    for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
      if (action == Action::refuse) found.refused = true;
      if (action == Action::flag) found.flagged.insert(i);
      if (action == Action::mask) std::fill_n(found.masked.begin() + static_cast<std::ptrdiff_t>(at), key.size(), true);
    }
  }
  return found;
}

TEST(TermSet, AgreesWithANaiveMatcherForRandomTermsAndTexts) {
  std::mt19937 random(20);
  const auto letters = [&random](std::size_t least, std::size_t most) {
    std::string text;
    const std::size_t size = least + random() % (most - least + 1);
    while (text.size() < size) text += "aabbc \u00e9"[random() % 6];
    return text;
  };
  Folder folder;
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> texts;
    std::vector<Term> terms;
    std::vector<std::pair<std::string, Action>> keys;
    const std::size_t count = 1 + random() % 12;
    for (std::size_t i = 0; i < count; ++i) texts.push_back(letters(1, 5));
    Folded out;
    for (const std::string& text : texts) {
      const bool whole = random() % 2 == 0;
      const auto action = random() % 8 == 0 ? Action::refuse : random() % 2 == 0 ? Action::mask : Action::flag;
      folder.fold(text, out);
      std::string key(out.bytes());
      while (key.starts_with(' ')) key.erase(0, 1);
      while (key.ends_with(' ')) key.pop_back();
      if (key.empty()) continue;
      if (!whole && key.front() == kMark) key.erase(0, 1);
      if (!whole && key.back() == kMark) key.pop_back();
      terms.push_back({text, Kind::literal, whole, action});
      keys.emplace_back(std::move(key), action);
    }
    std::vector<TermSet::Rejected> rejected;
    const TermSet set(terms, folder, rejected);
    ASSERT_TRUE(rejected.empty());
    for (int n = 0; n < 5; ++n) {
      const std::string text = letters(0, 40);
      Text reader;
      reader.assign(text, folder);
      Effort effort;
      Findings findings;
      set.find(reader, effort, findings);
      const Naive expected = naive(keys, reader.folded().bytes());
      ASSERT_EQ(findings.refused_by.has_value(), expected.refused) << text;
      if (expected.refused) continue;
      ASSERT_EQ(findings.flagged_by.empty(), expected.flagged.empty()) << text;
      for (const std::uint32_t number : findings.flagged_by) ASSERT_TRUE(expected.flagged.contains(number)) << text;
      // The texts are ASCII, so a byte of the text is a byte of the folded text, marks and white space aside.
      std::vector<bool> masked(text.size());
      for (const auto& [begin, end] : findings.masks) {
        for (std::size_t i = begin; i < end; ++i) masked[i] = true;
      }
      const std::string_view bytes = reader.folded().bytes();
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (bytes[i] == kMark || bytes[i] == ' ') continue;
        ASSERT_EQ(masked[reader.folded().begin_of(i)], expected.masked[i]) << text << " at " << i;
      }
    }
  }
}

// ---- Payloads

std::string reviewed(std::span<const Term> terms, std::string_view json, std::string_view server_member = {}) {
  std::string canonical;
  canonicalize(json, canonical);
  Reviewer reviewer;
  std::vector<TermSet::Rejected> rejected;
  const TermSet set(terms, reviewer.folder(), rejected);
  const TermSet* const sets[] = {&set};
  Review review;
  reviewer.review(canonical, server_member, sets, review);
  if (review.refused_by) return "refused by " + std::to_string(review.refused_by->number);
  std::string out = review.masked ? review.payload : canonical;
  if (review.masked) {
    std::string again;
    canonicalize(out, again);
    EXPECT_EQ(again, out) << "a masked payload is canonical";
  }
  if (review.held_by) out += " held by " + std::to_string(review.held_by->number);
  for (const Found& found : review.flagged_by) out += " flagged by " + std::to_string(found.number);
  return out;
}

constexpr Term kMaskBad{"bad", Kind::literal, true, Action::mask};

TEST(Review, SearchesAllStringValuesAndNoKeys) {
  EXPECT_EQ(reviewed({&kMaskBad, 1}, R"({"bad":"bad","a":["bad",{"b":"x bad"}],"n":1,"z":null})"),
            R"({"a":["***",{"b":"x ***"}],"bad":"***","n":1,"z":null})");
  EXPECT_EQ(reviewed({&kMaskBad, 1}, R"({})"), R"({})");
}

TEST(Review, LeavesTheMemberOfTheServer) {
  EXPECT_EQ(reviewed({&kMaskBad, 1}, R"({"user_role":"bad","x":{"user_role":"bad"}})", "user_role"),
            R"({"user_role":"bad","x":{"user_role":"***"}})");
  EXPECT_EQ(reviewed({&kMaskBad, 1}, R"({"user_role":"bad","v":"bad"})", "user_role"),
            R"({"user_role":"bad","v":"***"})");
}

TEST(Review, ReadsEscapedStrings) {
  EXPECT_EQ(reviewed({&kMaskBad, 1}, R"({"a":"\"bad\"\\\n bad\u0007"})"), R"({"a":"\"***\"\\\n ****"})");
  EXPECT_EQ(reviewed({&kMaskBad, 1}, R"({"a":"\\","b":"bad\\"})"), R"({"a":"\\","b":"***\\"})");
}

TEST(Review, NamesTheTerms) {
  const Term terms[] = {{"one", Kind::literal, true, Action::flag},
                        {"two", Kind::pattern, false, Action::flag},
                        {"three", Kind::literal, true, Action::refuse}};
  EXPECT_EQ(reviewed(terms, R"({"a":"one two","b":"two one"})"),
            R"({"a":"one two","b":"two one"} flagged by 0 flagged by 1)");
  EXPECT_EQ(reviewed(terms, R"({"a":"one","b":"three"})"), "refused by 2");
}

TEST(Review, HoldsBesideMasksAndFlagsUnlessATermRefuses) {
  const Term terms[] = {{"one", Kind::literal, true, Action::hold},
                        {"t?o", Kind::wildcard, true, Action::hold},
                        {"two", Kind::literal, true, Action::mask},
                        {"one", Kind::literal, false, Action::flag},
                        {"three", Kind::literal, true, Action::refuse}};
  EXPECT_EQ(reviewed(terms, R"({"a":"one two"})"), R"({"a":"one ***"} held by 0 flagged by 3)");
  EXPECT_EQ(reviewed(terms, R"({"a":"two"})"), R"({"a":"***"} held by 1)");
  EXPECT_EQ(reviewed(terms, R"({"a":"one","b":"three"})"), "refused by 4");
  EXPECT_EQ(reviewed(terms, R"({"a":"four"})"), R"({"a":"four"})");
}

// With one group per action and reach, no term hides another one.
TEST(Review, FindsTermsOfAllActionsThatEndAtTheSamePlace) {
  const Term terms[] = {{"frak", Kind::literal, false, Action::hold}, {"*frak", Kind::wildcard, true, Action::refuse}};
  EXPECT_EQ(reviewed({terms, 1}, R"({"a":"xfrak"})"), R"({"a":"xfrak"} held by 0)");
  EXPECT_EQ(reviewed(terms, R"({"a":"xfrak"})"), "refused by 1");
  const Term flags[] = {{"frak", Kind::literal, false, Action::flag}, {"*frak", Kind::wildcard, true, Action::refuse}};
  EXPECT_EQ(reviewed(flags, R"({"a":"xfrak"})"), "refused by 1");
}

TEST(Review, NamesAtMost8TermsOfASet) {
  std::vector<std::string> names;
  for (char c = 'a'; c < 'a' + 12; ++c) names.push_back(std::string(2, c));
  std::vector<Term> terms;
  std::string text;
  for (const std::string& name : names) {
    terms.push_back({name, Kind::literal, true, Action::flag});
    text += name + " ";
  }
  const std::string out = reviewed(terms, R"({"a":")" + text + R"(","b":"ll kk"})");
  EXPECT_TRUE(out.ends_with("flagged by 7")) << out;
}

}  // namespace
}  // namespace sealcast::core::terms
