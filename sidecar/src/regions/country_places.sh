#!/bin/bash
# Makes country_places.cpp from the file zone.tab of the tz database (public domain; Debian's tzdata has it). The place
# of a country is the place of its principal time zone.
# Usage: sidecar/src/regions/country_places.sh [/usr/share/zoneinfo/zone.tab]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
zones=${1:-/usr/share/zoneinfo/zone.tab}

# The first zone of a country is its principal zone, unless the zones are listed from west to east or from north to
# south. These are the principal zones of such countries.
principal='Asia/Tashkent America/Sao_Paulo America/Toronto Australia/Sydney Europe/Kyiv Europe/Moscow'

{
  cat << 'CODE'
// The principal place of each country. country_places.sh made it from the tz database's zone.tab (public domain).
#include "regions/country_places.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sealcast::regions {
namespace {

constexpr std::array kPlaces = {
CODE
  awk -F'\t' -v principal="$principal" '
    # +DDMM, +DDDMM, +DDMMSS or +DDDMMSS
    function degrees(text, whole,  value) {
      value = substr(text, 2, whole) + substr(text, 2 + whole, 2) / 60 + substr(text, 4 + whole, 2) / 3600
      return sprintf("%.2f", substr(text, 1, 1) == "-" ? -value : value)
    }
    BEGIN { count = split(principal, names, " "); for (i = 1; i <= count; i++) chosen[names[i]] = 1 }
    /^#/ { next }
    !($1 in place) || $3 in chosen {
      match($2, /[0-9][+-]/)
      latitude = degrees(substr($2, 1, RSTART), 2)
      longitude = degrees(substr($2, RSTART + 1), 3)
      place[$1] = sprintf("    std::pair{std::string_view(\"%s\"), config::Place{%s, %s}},", $1, latitude, longitude)
    }
    END { for (country in place) print place[country] }' "$zones" | LC_ALL=C sort
  cat << 'CODE'
};

}  // namespace

std::optional<config::Place> place_of_country(std::string_view code) {
  const auto found = std::ranges::lower_bound(kPlaces, code, {}, [](const auto& entry) { return entry.first; });
  if (found == kPlaces.end() || found->first != code) return std::nullopt;
  return found->second;
}

}  // namespace sealcast::regions
CODE
} > country_places.cpp.new
mv country_places.cpp.new country_places.cpp
