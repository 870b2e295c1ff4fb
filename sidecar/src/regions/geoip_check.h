// Checks a sample of a Geo-IP database, so that a damaged file does not replace a good one.
#pragma once

#include <maxminddb.h>

#include <string>

namespace sealcast::regions {

// Follows 1,000 random paths through the search tree, as look-ups do, and decodes the records at their ends. Returns
// what is wrong, and the fix. Returns an empty text if the database can be used.
std::string problem_in(const MMDB_s& database);

}  // namespace sealcast::regions
