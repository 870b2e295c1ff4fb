// A region of the setting regions.list: "NAME URL LATITUDE LONGITUDE".
#pragma once

#include <string>
#include <string_view>

namespace sealcast::config {

struct Place {
  double latitude;  // degrees, north and east are positive
  double longitude;

  bool on_earth() const;  // latitude -90 to 90 and longitude -180 to 180
};

struct Region {
  std::string name;
  std::string url;  // without a slash at the end
  Place place;
};

// Throws std::invalid_argument with the problem. checks::service_url() checks the URL.
Region parse_region(std::string_view text);

}  // namespace sealcast::config
