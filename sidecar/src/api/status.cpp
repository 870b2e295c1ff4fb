// What the process says of itself: /healthz, /readyz, /metrics, /openapi.json; and the demo room.
#include "api/status.h"

#include "api/api.h"
#include "api/openapi.h"

namespace sealcast::api {

asio::awaitable<void> answer_health(http::Exchange& exchange) {
  http::answer_json(exchange.response, R"({"status":"ok"})");
  co_return;
}

asio::awaitable<void> answer_metrics(http::Exchange& exchange, const Metrics& metrics) {
  exchange.response.content_type = Metrics::kContentType;
  exchange.response.body = metrics.render();
  co_return;
}

asio::awaitable<void> Api::health(http::Exchange& exchange) { return answer_health(exchange); }

asio::awaitable<void> Api::readiness(http::Exchange& exchange) {
  bool ready = true;
  std::string checks;
  for (const ReadinessCheck& check : parts_.readiness) {
    std::string problem = check.problem();
    ready = ready && problem.empty();
    checks += checks.empty() ? "" : ",";
    http::append_json_string(check.name, checks);
    checks += ':';
    http::append_json_string(problem.empty() ? "ok" : problem, checks);
  }
  exchange.response.status = ready ? 200 : 503;
  http::answer_json(exchange.response,
                    std::string("{\"ready\":") + (ready ? "true" : "false") + ",\"checks\":{" + checks + "}}");
  co_return;
}

asio::awaitable<void> Api::metrics(http::Exchange& exchange) { return answer_metrics(exchange, parts_.metrics); }

asio::awaitable<void> Api::openapi(http::Exchange& exchange) {
  exchange.response.content_type = http::kJson;
  exchange.response.shared_body = kOpenApi;
  co_return;
}

asio::awaitable<void> Api::demo(http::Exchange& exchange) {
  parts_.demo->answer(exchange.request.path(), exchange.response);
  co_return;
}

}  // namespace sealcast::api
