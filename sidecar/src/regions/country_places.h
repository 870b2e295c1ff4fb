// A place for a country, where no more is known of a caller than that.
#pragma once

#include <optional>
#include <string_view>

#include "config/region.h"

namespace sealcast::regions {

// By the ISO 3166-1 code, two capital letters; nullopt: there is no such country.
std::optional<config::Place> place_of_country(std::string_view code);

}  // namespace sealcast::regions
