// One region as regions.list writes it: "NAME URL LATITUDE LONGITUDE".
#pragma once

#include <string>
#include <string_view>

namespace sealcast::config {

struct Place {
  double latitude;  // degrees, north and east are positive
  double longitude;

  // -90 to 90 and -180 to 180.
  bool on_earth() const;
};

struct Region {
  std::string name;
  std::string url;  // without a slash at its end
  Place place;
};

// Throws std::invalid_argument saying what is wrong. Whether the URL is usable, checks::service_url tells.
Region parse_region(std::string_view text);

}  // namespace sealcast::config
