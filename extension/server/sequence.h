// Where a sequence of ours stands.
#pragma once

#include "server/pg.h"

namespace sealcast::server {

// Null: it has never been moved from its start.
std::optional<int64> last_value(const char* sequence);

}  // namespace sealcast::server
