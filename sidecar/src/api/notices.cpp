// GET /streams/{id}/notices: returns the notices of the session's user, for readers of transports that do not bring
// them.
#include <memory>

#include "api/caller.h"
#include "api/database_failure.h"
#include "api/routes.h"
#include "api/stream_access.h"

namespace sealcast::api {

namespace {

struct Notices {
  Callers& callers;
  const message::Cells& cells;
  message::History& history;

  asio::awaitable<void> answer(http::Exchange& exchange, std::string_view id) const;
};

asio::awaitable<void> Notices::answer(http::Exchange& exchange, std::string_view id) const {
  std::string stream_id = stream_of_path(id, cells, exchange);
  if (stream_id.empty()) co_return;
  auto session = callers.session(exchange);
  if (!session) co_return;
  auto stream = co_await readable_stream(exchange, session->user_id, history.access(stream_id, session->user_id));
  if (!stream) co_return;
  try {
    std::vector<std::string> envelopes;
    if (stream->noticed) envelopes = co_await history.notices(stream_id, session->user_id);
    std::string body = "{\"notices\":[";
    for (const std::string& envelope : envelopes) {
      if (body.back() != '[') body += ',';
      body += envelope;
    }
    body += "]}";
    http::answer_json(exchange.response, std::move(body));
  } catch (const postgres::Error& error) {
    answer_database_failure(error, "cannot read the notices of a user", exchange.response);
  }
}

}  // namespace

http::Handler notices(Callers& callers, const message::Cells& cells, message::History& history) {
  auto route = std::make_shared<const Notices>(Notices{.callers = callers, .cells = cells, .history = history});
  return [route](http::Exchange& exchange, std::string_view id) { return route->answer(exchange, id); };
}

}  // namespace sealcast::api
