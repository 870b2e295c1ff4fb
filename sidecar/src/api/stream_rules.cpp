// GET /streams/{id}/rules: returns the rules of a stream: its slow mode, who may send, and which types.
#include <memory>

#include "api/caller.h"
#include "api/database_failure.h"
#include "api/routes.h"
#include "api/stream_access.h"
#include "client/postgres/pool.h"

namespace sealcast::api {

namespace {

struct StreamRules {
  Callers& callers;
  const message::Cells& cells;
  message::History& history;
  postgres::Pool& pool;

  asio::awaitable<void> answer(http::Exchange& exchange, std::string_view id) const;
};

asio::awaitable<void> StreamRules::answer(http::Exchange& exchange, std::string_view id) const {
  std::string stream_id = stream_of_path(id, cells, exchange);
  if (stream_id.empty()) co_return;
  auto caller = callers.reader(exchange, stream_id);
  if (!caller) co_return;
  auto stream = co_await readable_stream(exchange, caller->user_id, history.access(stream_id, caller->user_id));
  if (!stream) co_return;
  postgres::Params params;
  params.add(postgres::uuid_bytes(stream_id));
  try {
    postgres::Result rows = co_await pool.query("select sealcast_internal.read_stream_rules($1)", params);
    http::answer_json(exchange.response, std::string(rows.text(0, 0)));
  } catch (const postgres::Error& error) {
    answer_database_failure(error, "cannot read the rules of a stream", exchange.response);
  }
}

}  // namespace

http::Handler stream_rules(Callers& callers, const message::Cells& cells, message::History& history,
                           postgres::Pool& pool) {
  auto route = std::make_shared<const StreamRules>(
      StreamRules{.callers = callers, .cells = cells, .history = history, .pool = pool});
  return [route](http::Exchange& exchange, std::string_view id) { return route->answer(exchange, id); };
}

}  // namespace sealcast::api
