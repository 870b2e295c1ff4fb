// Has each string of a canonical payload matched.
#include "core/terms/review.h"

#include <algorithm>

#include "core/error.h"
#include "core/json_string.h"
#include "core/terms/strings.h"

namespace sealcast::core::terms {
std::string masked(std::string_view text, std::vector<Findings::Range>& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  Characters characters;
  characters.assign(text);
  std::string out;
  std::size_t done = 0;
  for (const Findings::Range& range : ranges) {
    if (range.end <= done) continue;
    std::size_t at = std::max(done, range.begin);
    if (at > done) {
      at = std::max(done, characters.begin_at_or_before(at));
      out.append(text, done, at - done);
    }
    for (; at < range.end; at = characters.end_after(at)) out += '*';
    done = at;
  }
  return out.append(text, done);
}

// Sets masks_ to what must be masked in the text. Returns false if the text is refused.
bool Reviewer::review_text(std::span<const TermSet* const> sets, Review& out) {
  masks_.clear();
  for (std::size_t set = 0; set < sets.size(); ++set) {
    findings_.clear();
    sets[set]->find(text_, effort_, findings_);
    if (findings_.refused_by) {
      out.refused_by = Found{set, *findings_.refused_by};
      return false;
    }
    if (findings_.held_by && !out.held_by) out.held_by = Found{set, *findings_.held_by};
    masks_.insert(masks_.end(), findings_.masks.begin(), findings_.masks.end());
    for (const std::uint32_t number : findings_.flagged_by) {
      std::size_t of_set = 0;
      bool known = false;
      for (const Found& found : out.flagged_by) {
        if (found.set != set) continue;
        ++of_set;
        known = known || found.number == number;
      }
      if (!known && of_set < Findings::kMaxFlags) out.flagged_by.push_back({set, number});
    }
  }
  return true;
}

void Reviewer::review(std::string_view canonical, std::string_view server_member, std::span<const TermSet* const> sets,
                      Review& out, CancelFlag cancel, const TextRules& rules) {
  effort_.begin(cancel);
  struct End {
    Effort& effort;
    ~End() { effort.end(); }
  } const end{effort_};
  out.broken.reset();
  out.refused_by.reset();
  out.held_by.reset();
  out.flagged_by.clear();
  out.masked = false;
  out.payload.clear();
  judge_.begin(rules, canonical.size());
  std::size_t copied = 0;  // canonical[0, copied) is in out.payload, if anything was masked
  for (Strings strings(canonical, server_member, decoded_); strings.next();) {
    const std::string_view text = strings.text();
    effort_.check();
    if (rules.no_links || !sets.empty()) text_.assign(text, folder_);
    if (rules.any()) {
      out.broken = judge_.broken_by(text, rules.no_links ? text_.unmarked().bytes() : std::string_view());
      if (out.broken) return;
    }
    if (sets.empty()) continue;
    if (!review_text(sets, out)) return;
    if (masks_.empty()) continue;
    out.payload.append(canonical, copied, strings.begin() - copied);
    Fault fault;
    if (!append_json_string(masked(text, masks_), out.payload, fault)) {
      throw Error(ErrorKind::invalid_json, "a text is not valid UTF-8");
    }
    copied = strings.end();
    out.masked = true;
  }
  if (out.masked) out.payload.append(canonical, copied);
}

}  // namespace sealcast::core::terms
