// Compiles the lines of the input up to an empty line as blocked terms, and reviews the rest as the content of a
// message. The first byte of a term is its kind and its action. A masked payload must be canonical and not longer than
// the payload as sent, and what
// the matcher says must not depend on what it did before. The rules of a stream must judge the text as its parts are
// judged.
#include <string>
#include <vector>

#include "core/canonical_json.h"
#include "core/json_string.h"
#include "core/terms/review.h"
#include "fuzz.h"

namespace sealcast::fuzz {

namespace {

core::terms::Term read_term(std::string_view line) {
  using core::terms::Action;
  using core::terms::Kind;
  const auto choice = static_cast<unsigned char>(line[0]);
  constexpr Kind kKinds[] = {Kind::literal, Kind::wildcard, Kind::pattern};
  constexpr Action kActions[] = {Action::refuse, Action::mask, Action::flag, Action::hold};
  const Kind kind = kKinds[choice % 3];
  return {line.substr(1), kind, kind != Kind::pattern && choice / 16 % 2 == 0, kActions[choice / 3 % 4]};
}

}  // namespace

void check(std::string_view bytes) {
  std::vector<core::terms::Term> terms;
  for (std::string_view line = next_line(bytes); !line.empty() && terms.size() < 20; line = next_line(bytes)) {
    terms.push_back(read_term(line));
  }
  static core::terms::Reviewer reviewer;
  std::vector<core::terms::TermSet::Rejected> rejected;
  const core::terms::TermSet set(terms, reviewer.folder(), rejected);

  core::terms::Folded folded;
  reviewer.folder().fold(bytes, folded);
  std::size_t before = 0;
  for (std::size_t i = 0; i < folded.bytes().size(); ++i) {
    require(before <= folded.begin_of(i) && folded.begin_of(i) <= folded.end_of(i), "origins ascend");
    require(folded.end_of(i) <= bytes.size(), "origins are in the text");
    before = folded.begin_of(i);
  }

  static const core::terms::Links links(reviewer.folder());
  static core::terms::Text text;
  static core::terms::Characters characters;
  text.assign(bytes, reviewer.folder());
  const bool has_link = links.in(text.unmarked().bytes());
  const bool only_emotes = core::terms::has_only_emotes(bytes, characters);
  const std::size_t chars = characters.count(bytes, bytes.size());
  require(chars <= bytes.size() && (chars == 0) == bytes.empty(), "a character has at least one byte");

  std::string payload = "{\"content\":";
  core::Fault fault;
  if (!core::append_json_string(bytes, payload, fault)) return;
  payload += "}";
  const core::terms::TermSet* const sets[] = {&set};
  core::terms::Review first, second;
  reviewer.review(payload, "user_role", sets, first);
  reviewer.review(payload, "user_role", sets, second);
  require(first.refused_by.has_value() == second.refused_by.has_value() &&
              first.held_by.has_value() == second.held_by.has_value() && first.payload == second.payload &&
              first.flagged_by.size() == second.flagged_by.size(),
          "the same payload has the same review");
  using core::terms::TextRule;
  const auto broken = [&](const core::terms::TextRules& rules) {
    core::terms::Review review;
    reviewer.review(payload, "user_role", {}, review, nullptr, rules);
    return review.broken;
  };
  if (core::terms::is_text(bytes, "chat")) {
    require((broken({.no_links = true, .t = "chat"}) == TextRule::links) == has_link, "links are found in a payload");
    require((broken({.emote_only = true, .t = "chat"}) == TextRule::emote_only) != only_emotes, "so are emotes");
    require(broken({.max_chars = chars == 0 ? 1 : chars, .t = "chat"}) == std::nullopt, "the limit is allowed");
    require(chars < 2 || broken({.max_chars = chars - 1, .t = "chat"}) == TextRule::max_chars, "the limit is enforced");
  }
  if (!first.masked) return;
  require(first.payload.size() <= payload.size(), "masking does not lengthen a payload");
  std::string again;
  core::canonicalize(first.payload, again);
  require(again == first.payload, "a masked payload is canonical");
}

}  // namespace sealcast::fuzz
