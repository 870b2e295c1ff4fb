// Parses one region of the setting regions.list.
#include "config/region.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace sealcast::config {
namespace {

constexpr std::size_t kMaxName = 32;

std::string_view next_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  return word;
}

double degrees(std::string_view word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value, std::chars_format::fixed);
  if (word.empty() || error != std::errc() || end != word.data() + word.size()) {
    throw std::invalid_argument("does not end with a latitude and a longitude in degrees");
  }
  return value;
}

}  // namespace

// Every comparison with NaN is false, so a NaN is not on Earth.
bool Place::on_earth() const { return latitude >= -90 && latitude <= 90 && longitude >= -180 && longitude <= 180; }

Region parse_region(std::string_view text) {
  Region region;
  region.name = next_word(text);
  const bool plain = region.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
  if (region.name.empty() || region.name.size() > kMaxName || !plain) {
    throw std::invalid_argument("does not begin with a name of a-z, 0-9 and -, 1 to 32 bytes");
  }
  region.url = next_word(text);
  if (region.url.empty()) throw std::invalid_argument("has no URL");
  while (region.url.ends_with('/')) region.url.pop_back();
  region.place.latitude = degrees(next_word(text));
  region.place.longitude = degrees(next_word(text));
  if (!region.place.on_earth())
    throw std::invalid_argument("has a latitude beyond 90 or a longitude beyond 180 degrees");
  if (!next_word(text).empty()) throw std::invalid_argument("has more text after the longitude");
  return region;
}

}  // namespace sealcast::config
