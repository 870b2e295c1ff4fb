// Forms the names of MQTT topics, channels of services and Redis keys from the templates in the settings.
#include "transport/outside/adapter.h"

namespace sealcast::transport::outside {

std::string expand_template(std::string_view pattern, std::string_view value, std::string_view placeholder) {
  std::string name(pattern);
  for (std::size_t at = name.find(placeholder); at != name.npos; at = name.find(placeholder, at + value.size())) {
    name.replace(at, placeholder.size(), value);
  }
  return name;
}

}  // namespace sealcast::transport::outside
