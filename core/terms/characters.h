// Finds the characters of a text as readers count them: the grapheme clusters of Unicode.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace sealcast::core::terms {

// Keep one and reuse it: ICU needs some time to open it. Not thread-safe.
class Characters {
 public:
  Characters();
  ~Characters();
  Characters(const Characters&) = delete;
  Characters& operator=(const Characters&) = delete;

  // Sets the text that the next two functions are about. It must stay valid meanwhile. Throws Error{invalid_argument}
  // if ICU lacks its data.
  void assign(std::string_view text);
  std::size_t begin_at_or_before(std::size_t at);
  std::size_t end_after(std::size_t at);

  // Returns the number of characters of `text`, or a number above `most` if there are more. Forgets the assigned text.
  std::size_t count(std::string_view text, std::size_t most);

 private:
  struct Icu;
  std::unique_ptr<Icu> icu_;
  std::size_t size_ = 0;
};

}  // namespace sealcast::core::terms
