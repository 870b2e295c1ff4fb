// POST /rpc/{function}: the functions of sealcast.call_as(), asked for by a session.
#include <algorithm>
#include <charconv>

#include "api/api.h"
#include "api/database_failure.h"
#include "api/rate.h"
#include "base/asio.h"

namespace sealcast::api {

namespace {

constexpr int kCallsPerSecond = 5;  // of one user

// A refusal is SQLSTATE PTnnn with DETAIL "code" or "code: details" (docs/errors.md).
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
    return http::answer_problem(response, {400, "invalid_request", "an argument does not fit", error.what()});
  }
  answer_database_failure(error, "cannot carry out a call", response);
}

}  // namespace

asio::awaitable<void> Api::call(http::Exchange& exchange, std::string_view function) {
  http::Response& response = exchange.response;
  const http::Request& request = exchange.request;
  auto who = session(exchange);
  if (!who) co_return;
  message::GateRequest question{who->user_id, std::string(message::kCalls), {}, kCallsPerSecond};
  message::GateAnswer gate = co_await parts_.gate.check(std::move(question));
  if (!within_rate("call", gate, response)) co_return;
  if (request.body.empty() || !is_storable(request.body)) {
    http::answer_problem(response, {400, "invalid_json", "the request body is not JSON",
                                    "it is empty, no UTF-8, or holds NUL", "Send an object of arguments by name."});
    co_return;
  }
  postgres::Params params;
  params.add(postgres::uuid_bytes(who->user_id));
  params.add(function);
  params.add_json(request.body);
  try {
    postgres::Result rows = co_await parts_.pool.query("select sealcast.call_as($1, $2, $3)", params);
    if (rows.null(0, 0)) {
      response.status = 204;
    } else {
      http::answer_json(response, std::string(rows.text(0, 0)));
    }
  } catch (const postgres::Error& error) {
    answer_failure(error, response);
  }
}

}  // namespace sealcast::api
