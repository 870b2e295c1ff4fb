// Answers 421 to a request for a stream that another cell holds (docs/cells.md).
#pragma once

#include <string>
#include <string_view>

#include "http/exchange.h"
#include "message/cells.h"

namespace sealcast::api {

inline constexpr std::string_view kWrongCell = "wrong_cell";

// Adds the header Location with `url`, the other cell's URL, followed by the path and the query of this request.
void add_cell_location(std::string_view url, http::Exchange& exchange);

// Returns whether this cell holds the stream. Returns false after answering 421 if another cell holds it, or after
// answering 503 if the table of cells was not read yet.
bool is_here(const message::Cells& cells, const std::string& stream_id, http::Exchange& exchange);

}  // namespace sealcast::api
