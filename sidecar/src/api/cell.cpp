// Answers 421 to requests for streams of other cells, with the URL of the right cell.
#include "api/cell.h"

#include "api/database_failure.h"

namespace sealcast::api {

void add_cell_location(std::string_view url, http::Exchange& exchange) {
  exchange.response.header("Location", std::string(url) + exchange.request.target);
}

bool is_here(const message::Cells& cells, const std::string& stream_id, http::Exchange& exchange) {
  if (!cells.loaded()) {
    answer_database_unavailable(exchange.response);
    return false;
  }
  const message::Cell* const cell = cells.elsewhere(stream_id);
  if (cell == nullptr) return true;
  const std::string message = "stream " + stream_id + " is in cell " + cell->name;
  http::answer_problem(exchange.response, {421, kWrongCell, message, cell->url,
                                           "Send the request to that cell. A message keeps its txn_id."});
  add_cell_location(cell->url, exchange);
  return false;
}

}  // namespace sealcast::api
