// Walks over the string values of a canonical payload without parsing it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sealcast::core::terms {

// All string values of a canonical JSON object, at every depth, in their order. The keys of objects are left out: the
// application chooses them, and readers do not see them. So is the member of the object itself that `server_member`
// names, because the server has set its value; the name may be empty.
class Strings {
 public:
  // `decoded` holds the text of a string with escapes. All arguments must stay valid while this object is used.
  Strings(std::string_view canonical, std::string_view server_member, std::string& decoded)
      : canonical_(canonical), server_member_(server_member), decoded_(decoded) {}

  // Goes to the next string. Returns false if there is none.
  bool next();

  std::string_view text() const { return text_; }  // without escapes; valid until the next call of next()
  // The place of the string in the payload, with its quotes.
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return at_; }

 private:
  std::string_view canonical_;
  std::string_view server_member_;
  std::string& decoded_;
  std::string_view text_;
  std::size_t begin_ = 0;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool of_server_ = false;
};

}  // namespace sealcast::core::terms
