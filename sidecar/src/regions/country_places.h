// The principal place of each country. It is used as the place of a caller if the Geo-IP database knows only the
// country.
#pragma once

#include <optional>
#include <string_view>

#include "config/region.h"

namespace sealcast::regions {

// `code` is an ISO 3166-1 code of two capital letters. Returns nullopt if there is no such country.
std::optional<config::Place> place_of_country(std::string_view code);

}  // namespace sealcast::regions
