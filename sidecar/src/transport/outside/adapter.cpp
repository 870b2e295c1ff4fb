// Names of topics and channels.
#include "transport/outside/adapter.h"

namespace sealcast::transport::outside {

std::string expand_template(std::string_view pattern, std::string_view value, std::string_view place) {
  std::string name(pattern);
  for (std::size_t at = name.find(place); at != name.npos; at = name.find(place, at + value.size())) {
    name.replace(at, place.size(), value);
  }
  return name;
}

}  // namespace sealcast::transport::outside
