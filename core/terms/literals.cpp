// Builds the automaton of Aho and Corasick level by level from sorted keys.
#include "core/terms/literals.h"

#include <algorithm>
#include <cstddef>

namespace sealcast::core::terms {

Literals::Literals(std::vector<Key> keys) {
  std::stable_sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) { return a.bytes < b.bytes; });
  build_tree(keys);
  add_fallbacks();
  build_table();
}

// Each state stands for a range of the sorted keys: the keys that begin with the bytes on the path from the root to the
// state.
void Literals::build_tree(const std::vector<Key>& keys) {
  struct Range {
    std::size_t begin;
    std::size_t end;
    std::size_t depth;
  };
  Ends none;
  none.fill(kNone);
  ends_.push_back(none);
  std::vector<Range> ranges{{0, keys.size(), 0}};
  labels_.push_back(0);
  for (std::size_t state = 0; state < ranges.size(); ++state) {
    auto [begin, end, depth] = ranges[state];
    State made{static_cast<std::uint32_t>(ranges.size()), 0, 0, 0};
    Ends here = none;
    for (; begin < end && keys[begin].bytes.size() == depth; ++begin) {
      std::uint32_t& id = here[keys[begin].group];
      if (id == kNone) id = keys[begin].id;
    }
    if (here != none) {
      made.ends = static_cast<std::uint32_t>(ends_.size()) & 0xFF'FFFF;
      ends_.push_back(here);
    }
    while (begin < end) {
      const auto label = static_cast<unsigned char>(keys[begin].bytes[depth]);
      const std::size_t first = begin;
      while (begin < end && static_cast<unsigned char>(keys[begin].bytes[depth]) == label) ++begin;
      if (ranges.size() == made.children) made.label = label;
      ranges.push_back({first, begin, depth + 1});
      labels_.push_back(label);
    }
    states_.push_back(made);
  }
  states_.push_back({static_cast<std::uint32_t>(ranges.size()), 0, 0, 0});
  states_.shrink_to_fit();
  labels_.shrink_to_fit();
  ends_.shrink_to_fit();
}

void Literals::add_fallbacks() {
  const auto count = static_cast<std::uint32_t>(labels_.size());
  for (std::uint32_t state = 0; state < count; ++state) {
    // The states of lesser depth are complete, hence also the fallback of this one.
    State& from = states_[state];
    const std::uint32_t inherited = state == 0 ? 0 : states_[from.fallback].ends;
    if (inherited != 0 && from.ends == 0) {
      from.ends = inherited;
    } else if (inherited != 0) {
      Ends& own = ends_[from.ends];
      for (std::size_t group = 0; group < kGroups; ++group) {
        if (own[group] == kNone) own[group] = ends_[inherited][group];
      }
    }
    for (std::uint32_t to = from.children; to < states_[state + 1].children; ++to) {
      std::uint32_t& fallback = states_[to].fallback;
      for (std::uint32_t suffix = state; suffix != 0 && fallback == 0;) {
        suffix = states_[suffix].fallback;
        fallback = child(suffix, labels_[to]);
      }
    }
  }
}

// A row differs from the row of its fallback by the children of the state.
void Literals::build_table() {
  const auto count = static_cast<std::uint32_t>(labels_.size());
  std::array<bool, 256> used{};
  for (std::uint32_t state = 1; state < count; ++state) used[labels_[state]] = true;
  for (std::size_t label = 0; label < used.size(); ++label) {
    if (used[label]) class_of_[label] = static_cast<std::uint16_t>(classes_++);
  }
  rows_ = std::min(count, static_cast<std::uint32_t>(kTableEntries / classes_));
  table_.resize(rows_ * classes_);
  for (std::uint32_t state = 0; state < rows_; ++state) {
    const auto row = table_.begin() + static_cast<std::ptrdiff_t>(state * classes_);
    if (state != 0) {
      std::copy_n(table_.begin() + static_cast<std::ptrdiff_t>(states_[state].fallback * classes_), classes_, row);
    }
    for (std::uint32_t to = states_[state].children; to < states_[state + 1].children; ++to) {
      row[class_of_[labels_[to]]] = to | (states_[to].ends != 0 ? kEnds : 0);
    }
  }
}

std::size_t Literals::memory_bytes() const {
  return sizeof *this + states_.capacity() * sizeof(State) + labels_.capacity() + ends_.capacity() * sizeof(Ends) +
         table_.capacity() * sizeof(std::uint32_t);
}

}  // namespace sealcast::core::terms
