// Whether a stream is served here.
#include "api/cell.h"

#include "api/api.h"
#include "api/database_failure.h"

namespace sealcast::api {

void lead_to(std::string_view url, http::Exchange& exchange) {
  exchange.response.header("Location", std::string(url) + exchange.request.target);
}

bool Api::is_here(const std::string& stream_id, http::Exchange& exchange) {
  if (!parts_.cells.loaded()) {
    answer_database_unavailable(exchange.response);
    return false;
  }
  const message::Cell* const cell = parts_.cells.elsewhere(stream_id);
  if (cell == nullptr) return true;
  const std::string message = "stream " + stream_id + " is in cell " + cell->name;
  http::answer_problem(exchange.response,
                       {421, kWrongCell, message, cell->url, "Ask there; a message with the same txn_id."});
  lead_to(cell->url, exchange);
  return false;
}

}  // namespace sealcast::api
