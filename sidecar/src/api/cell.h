// 421: the answer to a request for a stream of another cell (docs/cells.md).
#pragma once

#include <string>
#include <string_view>

#include "http/exchange.h"
#include "message/cells.h"

namespace sealcast::api {

inline constexpr std::string_view kWrongCell = "wrong_cell";

// Adds the header Location: the path and query of this request at the other cell's URL.
void add_cell_location(std::string_view url, http::Exchange& exchange);

// Returns false if the stream is in another cell or the cells are not known yet; the response is then 421 or 503.
bool is_here(const message::Cells& cells, const std::string& stream_id, http::Exchange& exchange);

}  // namespace sealcast::api
