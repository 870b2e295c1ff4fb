// Writes a canonical text through a CanonicalWriter. Writes the members of each object in reverse order, so that the
// CanonicalWriter must sort them.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/canonical_json.h"
#include "core/json_string.h"

namespace sealcast::core {

class Replay {
 public:
  // `canonical` must be the output of canonicalize().
  std::string through_writer(std::string_view canonical) {
    std::string out;
    CanonicalWriter writer(out);
    value(canonical, writer);
    return out;
  }

 private:
  static std::size_t end_of_string(std::string_view text) {
    std::size_t i = 1;
    while (text[i] != '"') i += text[i] == '\\' ? 2 : 1;
    return i + 1;
  }

  static std::size_t end_of_value(std::string_view text) {
    if (text[0] == '"') return end_of_string(text);
    if (text[0] != '{' && text[0] != '[') return std::min(text.find_first_of(",]}"), text.size());
    int depth = 0;
    for (std::size_t i = 0;; ++i) {
      if (text[i] == '"') {
        i += end_of_string(text.substr(i)) - 1;
      } else if (text[i] == '{' || text[i] == '[') {
        ++depth;
      } else if ((text[i] == '}' || text[i] == ']') && --depth == 0) {
        return i + 1;
      }
    }
  }

  std::string_view decoded(std::string_view quoted) {
    append_unescaped(quoted.substr(1, quoted.size() - 2), strings_.emplace_back());
    return strings_.back();
  }

  void value(std::string_view text, CanonicalWriter& writer) {
    switch (text[0]) {
      case '{': {
        std::vector<std::pair<std::string_view, std::string_view>> members;
        for (std::size_t i = 1; text[i] != '}'; i += text[i] == ',') {
          const std::string_view key = text.substr(i, end_of_string(text.substr(i)));
          i += key.size() + 1;
          members.emplace_back(key, text.substr(i, end_of_value(text.substr(i))));
          i += members.back().second.size();
        }
        writer.begin_object();
        for (auto member = members.rbegin(); member != members.rend(); ++member) {
          writer.key(decoded(member->first));
          value(member->second, writer);
        }
        writer.end_object();
        break;
      }
      case '[':
        writer.begin_array();
        for (std::size_t i = 1; text[i] != ']'; i += text[i] == ',') {
          const std::string_view element = text.substr(i, end_of_value(text.substr(i)));
          value(element, writer);
          i += element.size();
        }
        writer.end_array();
        break;
      case '"':
        writer.string(decoded(text));
        break;
      case 't':
      case 'f':
        writer.boolean(text[0] == 't');
        break;
      case 'n':
        writer.null();
        break;
      default:
        writer.number(text);
    }
  }

  std::deque<std::string> strings_;  // keys must stay valid until end_object()
};

}  // namespace sealcast::core
