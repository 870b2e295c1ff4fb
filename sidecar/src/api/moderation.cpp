// POST /rpc/{function}, GET /streams/{id}/held, GET /streams/{id}/reports and GET /streams/{id}/moderation_log: call a
// SQL function such as mute or moderation_log_of for the session's user, by sealcast_internal.call_as().
#include <algorithm>
#include <charconv>
#include <memory>

#include "api/caller.h"
#include "api/database_failure.h"
#include "api/rate_limit.h"
#include "api/routes.h"
#include "api/send_body.h"
#include "api/stream_access.h"
#include "base/json.h"
#include "client/postgres/pool.h"
#include "message/gate.h"

namespace sealcast::api {

namespace {

constexpr int kCallsPerSecond = 5;  // per user, for all functions together

// Returns the time to wait, with which the hint of a refusal may begin: "1200 ms: …" (docs/errors.md).
std::chrono::milliseconds wait_of(std::string_view hint) {
  std::int64_t ms = 0;
  const auto [end, problem] = std::from_chars(hint.data(), hint.data() + hint.size(), ms);
  const std::string_view unit = hint.substr(static_cast<std::size_t>(end - hint.data()));
  return std::chrono::milliseconds(problem == std::errc() && unit.starts_with(" ms") ? ms : 0);
}

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
  const auto retry_after = status == 429 ? wait_of(error.hint()) : std::chrono::milliseconds(0);
  http::answer_problem(response, {status, code, error.what(), detail, error.hint(), retry_after});
}

void answer_failure(const postgres::Error& error, http::Response& response) {
  if (error.sqlstate().starts_with("PT")) return answer_refusal(error, response);
  if (error.of_input()) {
    return http::answer_problem(response, {400, "invalid_request", "an argument is not valid", error.what(),
                                           "Correct the argument; GET /openapi.json describes all arguments."});
  }
  answer_database_failure(error, "cannot carry out a call", response);
}

struct Calls {
  std::string_view function;
  Callers& callers;
  message::Gate& gate;
  postgres::Pool& pool;

  // Returns the user of the session. Returns nullopt after answering 401, or 429 or 503 if the gate refuses the call.
  asio::awaitable<std::optional<std::string>> admitted(http::Exchange& exchange) const;
  // Calls the function with these arguments, a JSON text, and answers with its result.
  asio::awaitable<void> call(std::string_view user_id, std::string_view arguments, http::Response& response) const;
};

asio::awaitable<std::optional<std::string>> Calls::admitted(http::Exchange& exchange) const {
  auto session = callers.session(exchange);
  if (!session) co_return std::nullopt;
  message::GateRequest check{session->user_id, std::string(message::kCalls), {}, kCallsPerSecond};
  message::GateAnswer checked = co_await gate.check(std::move(check));
  if (!within_rate("call", checked, exchange.response)) co_return std::nullopt;
  co_return std::move(session->user_id);
}

asio::awaitable<void> Calls::call(std::string_view user_id, std::string_view arguments,
                                  http::Response& response) const {
  postgres::Params params;
  params.add(postgres::uuid_bytes(user_id));
  params.add(function);
  params.add_json(arguments);
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

struct Moderation {
  Calls calls;

  asio::awaitable<void> answer(http::Exchange& exchange) const;
};

asio::awaitable<void> Moderation::answer(http::Exchange& exchange) const {
  const auto user_id = co_await calls.admitted(exchange);
  if (!user_id) co_return;
  const std::string& body = exchange.request.body;
  if (body.empty() || !is_storable(body)) {
    http::answer_problem(exchange.response, {400, "invalid_json", "the request body is not JSON",
                                             "it is empty, is not UTF-8, or contains NUL",
                                             "Send a JSON object whose members are the arguments."});
    co_return;
  }
  co_await calls.call(*user_id, body, exchange.response);
}

struct ModerationPage {
  Calls calls;
  const message::Cells& cells;
  std::vector<std::string_view> parameters;

  asio::awaitable<void> answer(http::Exchange& exchange, std::string_view id) const;
};

asio::awaitable<void> ModerationPage::answer(http::Exchange& exchange, std::string_view id) const {
  const std::string stream_id = stream_of_path(id, cells, exchange);
  if (stream_id.empty()) co_return;
  const auto user_id = co_await calls.admitted(exchange);
  if (!user_id) co_return;
  std::string arguments;
  JsonObject object(arguments);
  object.text("stream_id", stream_id);
  for (const std::string_view name : parameters) {
    const std::string value = exchange.request.parameter(name);
    if (!value.empty()) object.text(name, value);
  }
  object.end();
  co_await calls.call(*user_id, arguments, exchange.response);
}

}  // namespace

http::Handler moderation(std::string_view function, Callers& callers, message::Gate& gate, postgres::Pool& pool) {
  const Calls calls{.function = function, .callers = callers, .gate = gate, .pool = pool};
  auto route = std::make_shared<const Moderation>(Moderation{.calls = calls});
  return [route](http::Exchange& exchange, std::string_view) { return route->answer(exchange); };
}

http::Handler moderation_page(std::string_view function, std::vector<std::string_view> parameters, Callers& callers,
                              const message::Cells& cells, message::Gate& gate, postgres::Pool& pool) {
  const Calls calls{.function = function, .callers = callers, .gate = gate, .pool = pool};
  auto route = std::make_shared<const ModerationPage>(
      ModerationPage{.calls = calls, .cells = cells, .parameters = std::move(parameters)});
  return [route](http::Exchange& exchange, std::string_view id) { return route->answer(exchange, id); };
}

}  // namespace sealcast::api
