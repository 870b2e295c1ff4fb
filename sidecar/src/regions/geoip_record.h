// Reads the place in a record of a Geo-IP database.
#pragma once

#include <maxminddb.h>

#include <cstdint>
#include <optional>
#include <string>

#include "config/region.h"

namespace sealcast::regions {

struct Location {
  std::string country;  // ISO 3166-1 code; empty if the database does not contain it
  config::Place place;
};

// Returns the country code of a record. Returns an empty text if there is none.
std::string country_in(MMDB_entry_s& record);

// Returns the country and the place of a record. A record without a place has that of its country. Returns nullopt if
// the place is unknown.
std::optional<Location> location_in(MMDB_entry_s& record);

}  // namespace sealcast::regions
