// The hash by which the gate recognises that two messages have the same text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/terms/folding.h"

namespace sealcast::core::terms {

// The hex digits of a hash.
inline constexpr std::size_t kTextHash = 32;

// Hashes texts. Keep one and reuse its memory. Not thread-safe.
class TextHasher {
 public:
  // Returns the hash of all texts (text_rules.h) of a canonical payload, folded and without white space. Case, accents,
  // invisible characters and look-alikes make no difference. Returns an empty string if fewer than kMinBytes are left:
  // many users send a heart, gg or lol at the same time.
  std::string hash(std::string_view canonical, std::string_view t);

  static constexpr std::size_t kMinBytes = 8;

 private:
  Folder folder_;
  Folded folded_;
  std::string decoded_;
  std::string text_;
};

}  // namespace sealcast::core::terms
