// Folds the texts of a payload and hashes them together.
#include "core/terms/text_hash.h"

#include "core/digest.h"
#include "core/payload.h"
#include "core/terms/strings.h"
#include "core/terms/text_rules.h"

namespace sealcast::core::terms {

std::string TextHasher::hash(std::string_view canonical, std::string_view t) {
  text_.clear();
  std::size_t texts = 0;
  // A sender could write anything into a member that the server will replace.
  for (Strings strings(canonical, "user_role", decoded_); strings.next();) {
    if (!is_text(strings.text(), t)) continue;
    folder_.fold(strings.text(), folded_);
    for (const char c : folded_.bytes()) {
      if (c != kMark && c != ' ') text_ += c;
    }
    // Otherwise {"a":"xy","b":"z"} and {"a":"x","b":"yz"} would be the same.
    text_ += kMark;
    ++texts;
  }
  if (text_.size() < kMinBytes + texts) return {};
  return to_hex(sha256(text_)).substr(0, kTextHash);
}

}  // namespace sealcast::core::terms
