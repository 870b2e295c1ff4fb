// Finds all of many byte strings in a text in one pass: the automaton of Aho and Corasick.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::core::terms {

// Immutable. A search takes O(length of the text) steps, whatever the strings are.
class Literals {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr std::size_t kGroups = 16;

  struct Key {
    std::string bytes;   // not empty
    std::uint32_t id;    // what find() reports
    std::uint8_t group;  // below kGroups
  };

  // The longest key of each group that ends at one position of the text; its id, or kNone.
  using Ends = std::array<std::uint32_t, kGroups>;

  // At most 2^24 - 1 keys. Of keys with the same bytes and group, the first one counts.
  explicit Literals(std::vector<Key> keys = {});

  std::size_t memory_bytes() const;

  // Calls `visit(end, ends)` for each position of the text at which a key ends, from left to right, until it returns
  // false.
  template <class Visit>
  void find(std::string_view text, Visit visit) const {
    std::uint32_t state = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const std::uint32_t entry = next(state, static_cast<unsigned char>(text[i]));
      state = entry & ~kEnds;
      if ((entry & kEnds) != 0 && !visit(i + 1, ends_[states_[state].ends])) return;
    }
  }

 private:
  // States are numbered by depth, and the children of a state follow each other. So the children of state s are the
  // states from states_[s].children up to states_[s + 1].children.
  struct State {
    std::uint32_t children;
    std::uint32_t fallback;   // the state of the longest proper suffix
    std::uint32_t ends : 24;  // index in ends_; 0: no key ends here
    std::uint32_t label : 8;  // of the first child, so that most states are left without a look at labels_
  };

  // The first states, which almost all bytes of a text lead to, have a row in table_: the next state for each class of
  // bytes. Bytes that no key has are class 0.
  static constexpr std::size_t kTableEntries = 1 << 16;
  static constexpr std::uint32_t kEnds = 0x8000'0000;  // in a next state: a key ends there

  std::uint32_t child(std::uint32_t state, unsigned char label) const {
    const std::uint32_t first = states_[state].children;
    const std::size_t count = states_[state + 1].children - first;
    if (count <= 1) return count == 1 && states_[state].label == label ? first : 0;
    const void* const found = std::memchr(&labels_[first], label, count);
    return found == nullptr ? 0 : static_cast<std::uint32_t>(static_cast<const unsigned char*>(found) - labels_.data());
  }

  std::uint32_t next(std::uint32_t state, unsigned char label) const {
    while (state >= rows_) {
      if (const std::uint32_t to = child(state, label); to != 0) return to | (states_[to].ends != 0 ? kEnds : 0);
      state = states_[state].fallback;
    }
    return table_[state * classes_ + class_of_[label]];
  }

  void build_tree(const std::vector<Key>& keys);
  void add_fallbacks();
  void build_table();

  std::vector<State> states_;
  std::vector<unsigned char> labels_;
  std::vector<Ends> ends_;
  std::array<std::uint16_t, 256> class_of_{};
  std::size_t classes_ = 1;
  std::uint32_t rows_ = 0;
  std::vector<std::uint32_t> table_;
};

}  // namespace sealcast::core::terms
