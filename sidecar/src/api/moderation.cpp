// POST /rpc/{function}: calls a SQL function such as mute or set_role for the session's user, by
// sealcast_internal.call_as().
#include <algorithm>
#include <charconv>
#include <memory>

#include "api/caller.h"
#include "api/database_failure.h"
#include "api/rate_limit.h"
#include "api/routes.h"
#include "api/send_body.h"
#include "client/postgres/pool.h"
#include "message/gate.h"

namespace sealcast::api {

namespace {

constexpr int kCallsPerSecond = 5;  // per user, for all functions together

// Answers with the error by which a SQL function refused the call. The error's SQLSTATE is PTnnn, where nnn is the HTTP
// status. Its DETAIL is "code" or "code: details" (docs/errors.md).
void answer_refusal(const postgres::Error& error, http::Response& response) {
  int status = 500;
  std::string_view digits = std::string_view(error.sqlstate()).substr(2);
  std::from_chars(digits.data(), digits.data() + digits.size(), status);
  auto kept = std::make_shared<const std::string>(error.detail());
  response.storage = kept;
  std::string_view detail = *kept;
  const std::string_view code = detail.substr(0, detail.find(':'));
  detail.remove_prefix(std::min(detail.size(), code.size() + 2));
  http::answer_problem(response, {status, code, error.what(), detail, error.hint()});
}

void answer_failure(const postgres::Error& error, http::Response& response) {
  if (error.sqlstate().starts_with("PT")) return answer_refusal(error, response);
  if (error.of_input()) {
    return http::answer_problem(response, {400, "invalid_request", "an argument is not valid", error.what(),
                                           "Correct the argument; GET /openapi.json describes all arguments."});
  }
  answer_database_failure(error, "cannot carry out a call", response);
}

struct Moderation {
  std::string_view function;
  Callers& callers;
  message::Gate& gate;
  postgres::Pool& pool;

  asio::awaitable<void> answer(http::Exchange& exchange) const;
};

asio::awaitable<void> Moderation::answer(http::Exchange& exchange) const {
  http::Response& response = exchange.response;
  const http::Request& request = exchange.request;
  auto session = callers.session(exchange);
  if (!session) co_return;
  message::GateRequest check{session->user_id, std::string(message::kCalls), {}, kCallsPerSecond};
  message::GateAnswer checked = co_await gate.check(std::move(check));
  if (!within_rate("call", checked, response)) co_return;
  if (request.body.empty() || !is_storable(request.body)) {
    http::answer_problem(
        response, {400, "invalid_json", "the request body is not JSON", "it is empty, is not UTF-8, or contains NUL",
                   "Send a JSON object whose members are the arguments."});
    co_return;
  }
  postgres::Params params;
  params.add(postgres::uuid_bytes(session->user_id));
  params.add(function);
  params.add_json(request.body);
  try {
    postgres::Result rows = co_await pool.query("select sealcast_internal.call_as($1, $2, $3)", params);
    if (rows.null(0, 0)) {
      response.status = 204;
    } else {
      http::answer_json(response, std::string(rows.text(0, 0)));
    }
  } catch (const postgres::Error& error) {
    answer_failure(error, response);
  }
}

}  // namespace

http::Handler moderation(std::string_view function, Callers& callers, message::Gate& gate, postgres::Pool& pool) {
  auto route = std::make_shared<const Moderation>(
      Moderation{.function = function, .callers = callers, .gate = gate, .pool = pool});
  return [route](http::Exchange& exchange, std::string_view) { return route->answer(exchange); };
}

}  // namespace sealcast::api
