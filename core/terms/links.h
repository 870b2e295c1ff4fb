// Finds links in folded text: addresses with a scheme, names that begin with www., and domains.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "core/terms/folding.h"

namespace sealcast::core::terms {

// Immutable. A search takes O(length of the text) steps.
class Links {
 public:
  // Uses `folder` only in the constructor.
  explicit Links(Folder& folder);

  // `text` is a folded text without marks: it has no capital letters, no invisible characters and no look-alikes. A
  // link is:
  // - a scheme: a letter or digit, then ://, then any character but white space;
  // - www. at the beginning of a word, then a letter or digit;
  // - a domain: labels with dots between them, of which one behind a dot is a known top-level domain. A country code
  //   that is also a word in many languages (yes.no) counts only if a path, a port, ? or # follows it.
  bool in(std::string_view text) const;

 private:
  std::size_t dot_at(std::string_view text, std::size_t at) const;  // the size of a dot; 0 if there is none
  bool is_domain_end(std::string_view text, std::size_t at) const;

  std::set<std::string, std::less<>> known_;
  std::string ideographic_dot_;
};

}  // namespace sealcast::core::terms
