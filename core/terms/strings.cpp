// Finds strings by their quotes: canonical JSON has no white space and no invalid escapes.
#include "core/terms/strings.h"

#include <tuple>
#include <utility>

#include "core/json_string.h"

namespace sealcast::core::terms {
namespace {

// Returns the offset of the quote that ends the string whose content begins at `at`, and whether it has escapes.
std::pair<std::size_t, bool> end_of_string(std::string_view json, std::size_t at) {
  const std::size_t quote = json.find('"', at);
  if (json.substr(at, quote - at).find('\\') == std::string_view::npos) return {quote, false};
  while (json[at] != '"') at += json[at] == '\\' ? 2 : 1;
  return {at, true};
}

}  // namespace

bool Strings::next() {
  while (at_ < canonical_.size()) {
    const char c = canonical_[at_];
    if (c == '{' || c == '[') ++depth_;
    if (c == '}' || c == ']') --depth_;
    if (c != '"') {
      ++at_;
      continue;
    }
    begin_ = at_;
    bool escaped;
    std::tie(at_, escaped) = end_of_string(canonical_, begin_ + 1);
    text_ = canonical_.substr(begin_ + 1, at_ - begin_ - 1);
    ++at_;
    if (at_ < canonical_.size() && canonical_[at_] == ':') {
      of_server_ = depth_ == 1 && !server_member_.empty() && text_ == server_member_;
      continue;
    }
    if (of_server_ && depth_ == 1) continue;
    if (escaped) {
      decoded_.clear();
      append_unescaped(text_, decoded_);
      text_ = decoded_;
    }
    return true;
  }
  return false;
}

}  // namespace sealcast::core::terms
