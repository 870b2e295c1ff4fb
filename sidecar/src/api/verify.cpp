// POST /rpc/verify: asks Postgres whether an envelope is genuine, because only Postgres has the keyring.
#include "api/database_failure.h"
#include "api/routes.h"
#include "api/send_body.h"
#include "base/json.h"
#include "client/postgres/pool.h"

namespace sealcast::api {

namespace {

constexpr std::string_view kHint = "Send the envelope as it was received.";

asio::awaitable<void> answer(postgres::Pool& pool, http::Exchange& exchange) {
  http::Response& response = exchange.response;
  if (exchange.request.body.empty() || !is_storable(exchange.request.body)) {
    http::answer_problem(response, {400, "invalid_json", "the request body is not JSON",
                                    "it is empty, is not UTF-8, or contains NUL", kHint});
    co_return;
  }
  postgres::Params params;
  params.add_json(exchange.request.body);
  try {
    postgres::Result rows = co_await pool.query("select sealcast.verify_detail($1)", params);
    std::string body;
    JsonObject(body).text("result", rows.text(0, 0)).end();
    http::answer_json(response, std::move(body));
  } catch (const postgres::Error& error) {
    if (error.of_input()) {
      http::answer_problem(response, {400, "invalid_json", "the request body is not JSON", error.what(), kHint});
    } else {
      answer_database_failure(error, "cannot verify an envelope", response);
    }
  }
}

}  // namespace

http::Handler verify(postgres::Pool& pool) {
  return [&pool](http::Exchange& exchange, std::string_view) { return answer(pool, exchange); };
}

}  // namespace sealcast::api
