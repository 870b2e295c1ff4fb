// A region of the setting regions.list: "NAME URL LATITUDE LONGITUDE".
#pragma once

#include <string>
#include <string_view>

namespace sealcast::config {

struct Place {
  double latitude;   // degrees, positive in the north
  double longitude;  // degrees, positive in the east

  bool on_earth() const;  // latitude -90 to 90 and longitude -180 to 180
};

struct Region {
  std::string name;
  std::string url;  // without a slash at the end
  Place place;
};

// Throws std::invalid_argument with the problem. Does not check the form of the URL: checks::region() does.
Region parse_region(std::string_view text);

}  // namespace sealcast::config
