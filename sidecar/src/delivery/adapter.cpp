// Names of topics and channels.
#include "delivery/adapter.h"

namespace sealcast {

std::string expand_template(std::string_view pattern, std::string_view stream_id) {
  constexpr std::string_view kPlace = "{stream_id}";
  std::string name(pattern);
  for (std::size_t at = name.find(kPlace); at != name.npos; at = name.find(kPlace, at + stream_id.size())) {
    name.replace(at, kPlace.size(), stream_id);
  }
  return name;
}

}  // namespace sealcast
