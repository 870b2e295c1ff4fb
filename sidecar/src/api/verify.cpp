// POST /rpc/verify: asks Postgres whether an envelope is genuine, because only Postgres has the keyring. Everybody may
// call it, so the size of a body and the number of waiting requests are bounded.
#include <memory>

#include "api/database_failure.h"
#include "api/routes.h"
#include "api/send_body.h"
#include "base/json.h"
#include "client/postgres/pool.h"
#include "message/limits.h"

namespace sealcast::api {

namespace {

constexpr std::string_view kHint = "Send the envelope as it was received.";
constexpr std::size_t kMaxAroundPayload = 1024;  // bytes of an envelope that are not `d`
constexpr std::size_t kMaxWaiting = 32;

struct Verify {
  postgres::Pool& pool;
  const message::Limits& limits;
  std::size_t waiting = 0;

  asio::awaitable<void> answer(http::Exchange& exchange);
  bool acceptable(const std::string& body, http::Response& response) const;
  asio::awaitable<void> verify(const std::string& body, http::Response& response);
};

asio::awaitable<void> Verify::answer(http::Exchange& exchange) {
  if (!acceptable(exchange.request.body, exchange.response)) co_return;
  ++waiting;
  co_await verify(exchange.request.body, exchange.response);
  --waiting;
}

bool Verify::acceptable(const std::string& body, http::Response& response) const {
  if (!limits.loaded()) {
    answer_database_unavailable(response);
    return false;
  }
  const std::size_t max_bytes = limits.largest() + kMaxAroundPayload;
  if (body.size() > max_bytes) {
    const std::string details = "an envelope has at most " + std::to_string(max_bytes) + " bytes";
    http::answer_problem(response,
                         {413, "payload_too_large", "the request body is larger than any envelope", details, kHint});
    return false;
  }
  if (body.empty() || !is_storable(body)) {
    http::answer_problem(response, {400, "invalid_json", "the request body is not JSON",
                                    "it is empty, is not UTF-8, or contains NUL", kHint});
    return false;
  }
  if (waiting >= kMaxWaiting) {
    http::answer_problem(response, {503,
                                    "overloaded",
                                    "too many envelopes are being verified",
                                    {},
                                    "Retry after a pause.",
                                    std::chrono::seconds(1)});
    return false;
  }
  return true;
}

// Does not throw, so that `waiting` stays right.
asio::awaitable<void> Verify::verify(const std::string& body, http::Response& response) {
  postgres::Params params;
  params.add_json(body);
  try {
    postgres::Result rows = co_await pool.query("select sealcast.verify_detail($1)", params);
    std::string result;
    JsonObject(result).text("result", rows.text(0, 0)).end();
    http::answer_json(response, std::move(result));
  } catch (const postgres::Error& error) {
    if (error.of_input()) {
      http::answer_problem(response, {400, "invalid_json", "the request body is not JSON", error.what(), kHint});
    } else {
      answer_database_failure(error, "cannot verify an envelope", response);
    }
  }
}

}  // namespace

http::Handler verify(postgres::Pool& pool, const message::Limits& limits) {
  auto route = std::make_shared<Verify>(Verify{.pool = pool, .limits = limits});
  return [route](http::Exchange& exchange, std::string_view) { return route->answer(exchange); };
}

}  // namespace sealcast::api
