// Tests that the work of a review is bounded, and can be interrupted: no terms and no message hold up a backend.
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/terms/review.h"

namespace sealcast::core::terms {
namespace {

// `texts` times the text, as a canonical payload.
std::string payload_of(std::string_view text, std::size_t texts) {
  std::string payload = "{\"a\":[";
  for (std::size_t i = 0; i < texts; ++i) payload.append(i == 0 ? "\"" : ",\"").append(text).append("\"");
  return payload + "]}";
}

std::string reviewed(std::span<const Term> terms, const std::string& payload, CancelFlag cancel = nullptr) {
  Reviewer reviewer;
  std::vector<TermSet::Rejected> rejected;
  const TermSet set(terms, reviewer.folder(), rejected);
  EXPECT_TRUE(rejected.empty());
  const TermSet* const sets[] = {&set};
  Review review;
  reviewer.review(payload, "", sets, review, cancel);
  return review.payload;
}

Term masking(std::string_view text, Kind kind) { return {text, kind, false, Action::mask}; }

TEST(Effort, APatternIsCompiledOncePerReview) {
  // Compiled for each string, the patterns would use up the effort.
  const Term terms[] = {masking("a|b1", Kind::pattern), masking("a|b2", Kind::pattern), masking("a?c", Kind::wildcard)};
  EXPECT_EQ(reviewed(terms, payload_of("a d abc", 2000)), payload_of("* d ***", 2000));
}

TEST(Effort, WithoutEffortAMatchMasksTheWholeString) {
  std::vector<std::string> sources;
  for (std::size_t i = 0; i < kMaxPatterns; ++i) sources.push_back("a|b" + std::to_string(i));
  std::vector<Term> terms;
  for (const std::string& source : sources) terms.push_back(masking(source, Kind::pattern));
  const std::string found = reviewed(terms, payload_of("a d", 4000));
  EXPECT_TRUE(found.starts_with(R"({"a":["* d","* d",)")) << found.substr(0, 40);
  EXPECT_TRUE(found.ends_with(R"("***","***"]})")) << found.substr(found.size() - 40);
  EXPECT_EQ(reviewed(terms, payload_of("d", 4000)), "") << "a string without a match is never masked";
}

TEST(Effort, ARepeatedSearchOfALongStringEnds) {
  std::vector<std::string> sources;
  for (std::size_t i = 0; i < kMaxPatterns; ++i) sources.push_back("a.*b" + std::to_string(i) + "|a");
  std::vector<Term> terms;
  for (const std::string& source : sources) terms.push_back(masking(source, Kind::pattern));
  const std::size_t size = 1 << 20;
  EXPECT_EQ(reviewed(terms, payload_of(std::string(size, 'a'), 1)), payload_of(std::string(size, '*'), 1));
}

TEST(Effort, AReviewCanBeInterrupted) {
  const Term literal = masking("x", Kind::literal);
  const volatile int cancelled = 1;
  try {
    reviewed({&literal, 1}, payload_of("d", 1), &cancelled);
    FAIL() << "not interrupted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::interrupted);
  }
}

TEST(Effort, ALongWordIsMaskedOnce) {
  Folder folder;
  std::vector<TermSet::Rejected> rejected;
  const Term terms[] = {masking("*a*", Kind::wildcard), masking("*b", Kind::wildcard), masking("c*", Kind::wildcard)};
  const TermSet set(terms, folder, rejected);
  Text reader;
  Effort effort;
  Findings findings;
  const auto found = [&](const std::string& text) {
    reader.assign(text, folder);
    findings.clear();
    set.find(reader, effort, findings);
    return masked(text, findings.masks);
  };
  // Read to its ends for each match, the word would need 10^12 steps; the test would not end.
  const std::size_t size = 1 << 20;
  EXPECT_EQ(found(std::string(size, 'a') + " x"), std::string(size, '*') + " x");
  EXPECT_EQ(findings.masks.size(), 1);
  EXPECT_EQ(found(std::string(size, 'b') + " x"), std::string(size, '*') + " x");
  EXPECT_EQ(found("x " + std::string(size, 'c')), "x " + std::string(size, '*'));
  EXPECT_EQ(findings.masks.size(), 1);
  EXPECT_EQ(found("xbx xax bxb cxx xcx"), "**x *** *** *** x**");
}

}  // namespace
}  // namespace sealcast::core::terms
