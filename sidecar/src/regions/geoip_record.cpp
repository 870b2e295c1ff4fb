// Reads the members of a record that City and Country databases have.
#include "regions/geoip_record.h"

#include "regions/country_places.h"

namespace sealcast::regions {
namespace {

// Returns the value at `path` in the record. Returns nullopt if there is none, or if it has another type.
template <typename... Path>
std::optional<MMDB_entry_data_s> value(MMDB_entry_s& record, std::uint32_t type, Path... path) {
  MMDB_entry_data_s data;
  const int status = MMDB_get_value(&record, &data, path..., nullptr);
  if (status != MMDB_SUCCESS || !data.has_data || data.type != type) return std::nullopt;
  return data;
}

std::optional<config::Place> place_in(MMDB_entry_s& record) {
  const auto latitude = value(record, MMDB_DATA_TYPE_DOUBLE, "location", "latitude");
  const auto longitude = value(record, MMDB_DATA_TYPE_DOUBLE, "location", "longitude");
  if (!latitude || !longitude) return std::nullopt;
  const config::Place place{latitude->double_value, longitude->double_value};
  return place.on_earth() ? std::optional(place) : std::nullopt;
}

}  // namespace

std::string country_in(MMDB_entry_s& record) {
  const auto code = value(record, MMDB_DATA_TYPE_UTF8_STRING, "country", "iso_code");
  return code ? std::string(code->utf8_string, code->data_size) : std::string();
}

std::optional<Location> location_in(MMDB_entry_s& record) {
  Location location{};
  location.country = country_in(record);
  auto place = place_in(record);
  if (!place) place = place_of_country(location.country);
  if (!place) return std::nullopt;
  location.place = *place;
  return location;
}

}  // namespace sealcast::regions
