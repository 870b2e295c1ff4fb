// Follows random paths through the search tree of a database: https://maxmind.github.io/MaxMind-DB/
#include "regions/geoip_check.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <stdexcept>

#include "regions/geoip_record.h"

namespace sealcast::regions {
namespace {

constexpr int kPaths = 1000;
constexpr int kIpv4Bits = 32;
constexpr std::size_t kMaxCountry = 32;  // bytes

class Damaged : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Follows a path from `node` to a record, by a random side at each node. It prefers a side that is not empty, so it
// finds records also in a database of few networks. Returns nullopt if the path ends at an empty node.
std::optional<MMDB_entry_s> random_record(const MMDB_s& database, std::uint64_t node, int bits,
                                          std::minstd_rand& random) {
  for (int bit = 0; bit < bits; ++bit) {
    MMDB_search_node_s sides;
    if (MMDB_read_node(&database, static_cast<std::uint32_t>(node), &sides) != MMDB_SUCCESS ||
        sides.left_record_type == MMDB_RECORD_TYPE_INVALID || sides.right_record_type == MMDB_RECORD_TYPE_INVALID) {
      throw Damaged("its search tree points outside the file");
    }
    const bool left_empty = sides.left_record_type == MMDB_RECORD_TYPE_EMPTY;
    const bool right_empty = sides.right_record_type == MMDB_RECORD_TYPE_EMPTY;
    if (left_empty && right_empty) return std::nullopt;
    const bool left = right_empty || (!left_empty && random() % 2 == 0);
    if ((left ? sides.left_record_type : sides.right_record_type) == MMDB_RECORD_TYPE_DATA) {
      return left ? sides.left_record_entry : sides.right_record_entry;
    }
    node = left ? sides.left_record : sides.right_record;
  }
  throw Damaged("its search tree is deeper than an address has bits");
}

void decode(MMDB_entry_s& record) {
  MMDB_entry_data_list_s* values = nullptr;
  const int status = MMDB_get_entry_data_list(&record, &values);
  const bool is_map = status == MMDB_SUCCESS && values != nullptr && values->entry_data.type == MMDB_DATA_TYPE_MAP;
  MMDB_free_entry_data_list(values);
  if (!is_map) throw Damaged("a record cannot be decoded");
  // Some databases have other names than ISO codes, such as PRIVATE, for networks without a country.
  const std::string country = country_in(record);
  if (country.size() > kMaxCountry || !std::ranges::all_of(country, [](char c) { return c >= ' ' && c <= '~'; })) {
    throw Damaged("the country of a record is no short ASCII text");
  }
}

}  // namespace

std::string problem_in(const MMDB_s& database) {
  std::minstd_rand random;
  bool has_place = false;
  try {
    for (int path = 0; path < kPaths; ++path) {
      // Most records of a real database are those of IPv4 addresses, which are one small branch of the whole tree.
      const bool ipv4 = path % 2 == 0 && database.ipv4_start_node.node_value < database.metadata.node_count;
      auto record = random_record(database, ipv4 ? database.ipv4_start_node.node_value : 0,
                                  ipv4 ? kIpv4Bits : database.depth, random);
      if (!record) continue;
      decode(*record);
      has_place = has_place || location_in(*record);
    }
  } catch (const Damaged& damage) {
    return std::string("is a damaged Geo-IP database (") + damage.what() + "); download it again";
  }
  return has_place ? "" : "is a database without countries and places; name a City or Country .mmdb";
}

}  // namespace sealcast::regions
