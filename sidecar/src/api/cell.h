// 421: what is asked for is in another cell (docs/cells.md).
#pragma once

#include <string_view>

#include "http/exchange.h"

namespace sealcast::api {

inline constexpr std::string_view kWrongCell = "wrong_cell";

// The header Location: the same request at the other cell's URL.
void lead_to(std::string_view url, http::Exchange& exchange);

}  // namespace sealcast::api
