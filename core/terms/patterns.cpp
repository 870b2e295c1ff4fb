// Compiles patterns with RE2, all together in one set and each alone, and searches texts for them.
#include "core/terms/patterns.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>

#include "core/error.h"
#include "core/terms/term.h"

namespace sealcast::core::terms {
namespace {

RE2::Options options(std::int64_t memory) {
  RE2::Options chosen(RE2::Quiet);
  chosen.set_case_sensitive(false);
  chosen.set_max_mem(memory);
  return chosen;
}

std::string problem_of(const RE2& pattern) {
  if (pattern.ok()) return {};
  const std::size_t at = pattern.pattern().find(pattern.error_arg());
  std::string problem;
  if (at != std::string::npos && !pattern.error_arg().empty()) problem = "at byte " + std::to_string(at) + ": ";
  return problem + pattern.error();
}

}  // namespace

struct Patterns::Set : RE2::Set {
  using RE2::Set::Set;
};

void Effort::begin(CancelFlag cancel) {
  cancel_ = cancel;
  left_ = kMost;
  compiled_.clear();
}

void Effort::check() const {
  if (cancel_ != nullptr && *cancel_ != 0) {
    throw Error(ErrorKind::interrupted, "the search for blocked terms was interrupted");
  }
}

bool Effort::pay(std::size_t cost) {
  if (cost > left_) {
    left_ = 0;  // a cheaper search is not tried: what is left would go to the last strings by chance
    return false;
  }
  left_ -= cost;
  return true;
}

const RE2& Effort::compiled(const Patterns& patterns, int index) {
  const std::pair key{&patterns, index};
  if (const auto known = compiled_.find(key); known != compiled_.end()) return *known->second;
  if (compiled_.size() == kMaxCompiled) compiled_.clear();
  const std::string& source = patterns.sources_[static_cast<std::size_t>(index)];
  return *compiled_.emplace(key, std::make_shared<RE2>(source, options(kPatternMemory))).first->second;
}

const RE2* Effort::paid(const Patterns& patterns, int index) {
  if (!compiled_.contains({&patterns, index}) && !pay(kCompileCost)) return nullptr;
  return &compiled(patterns, index);
}

std::string Patterns::add(const std::string& source, std::uint32_t id) {
  const RE2 single(source, options(kPatternMemory));
  if (!single.ok()) return problem_of(single);
  if (single.Match("", 0, 0, RE2::UNANCHORED, nullptr, 0)) return "it matches the empty text";
  if (instructions_ + single.ProgramSize() > kMaxInstructions) {
    return "it has " + std::to_string(single.ProgramSize()) + " instructions, but only " +
           std::to_string(kMaxInstructions - instructions_) + " of " + std::to_string(kMaxInstructions) + " are left";
  }
  if (sources_.size() == kMaxPatterns) return "there are already " + std::to_string(kMaxPatterns) + " patterns";
  if (!set_) set_ = std::make_shared<Set>(options(kSetMemory), RE2::UNANCHORED);
  std::string problem;
  if (set_->Add(source, &problem) != static_cast<int>(sources_.size())) return problem;
  instructions_ += single.ProgramSize();
  sources_.push_back(source);
  ids_.push_back(id);
  return {};
}

bool Patterns::compile() {
  if (!set_ || set_->Compile()) return true;
  set_.reset();
  sources_.clear();
  ids_.clear();
  return false;
}

std::size_t Patterns::memory_bytes() const {
  return set_ ? static_cast<std::size_t>(kSetMemory) + sources_.size() * kMaxPatternBytes : 0;
}

void Patterns::find(std::string_view text, Effort& effort, std::vector<int>& matching) const {
  if (!set_) return;
  std::vector<int> found;
  RE2::Set::ErrorInfo error{};
  if (set_->Match({text.data(), text.size()}, &found, &error)) {
    matching.insert(matching.end(), found.begin(), found.end());
    return;
  }
  if (error.kind == RE2::Set::kNoError) return;
  // The set has no memory left for another state. Alone, a pattern is searched without states.
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    effort.check();
    const RE2& single = effort.compiled(*this, static_cast<int>(i));
    if (single.Match({text.data(), text.size()}, 0, text.size(), RE2::UNANCHORED, nullptr, 0)) {
      matching.push_back(static_cast<int>(i));
    }
  }
}

void Patterns::locate(int index, std::string_view text, Effort& effort, std::vector<Match>& matches) const {
  const RE2* const single = effort.paid(*this, index);
  re2::StringPiece found;
  std::size_t from = 0;
  for (int n = 0; from < text.size(); ++n) {
    effort.check();
    if (single == nullptr || !effort.pay_search(text.size() - from)) {
      matches.push_back({id(index), 0, text.size()});
      return;
    }
    if (!single->Match({text.data(), text.size()}, from, text.size(), RE2::UNANCHORED, &found, 1)) return;
    const auto begin = static_cast<std::size_t>(found.data() - text.data());
    if (n == kMaxMatches) {
      matches.push_back({id(index), begin, text.size()});
      return;
    }
    // An empty match, for example of \b, moves on by a byte. Its place is nothing that could be masked.
    if (!found.empty()) matches.push_back({id(index), begin, begin + found.size()});
    from = begin + std::max<std::size_t>(found.size(), 1);
  }
}

}  // namespace sealcast::core::terms
