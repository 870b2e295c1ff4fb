// What the process says of itself: /healthz, /readyz, /metrics, /openapi.json; and the demo room.
#include "api/status.h"

#include "api/api.h"
#include "api/openapi.h"

namespace sealcast::rpc {

asio::awaitable<void> answer_health(Exchange& exchange) {
  answer_json(exchange.response, R"({"status":"ok"})");
  co_return;
}

asio::awaitable<void> answer_metrics(Exchange& exchange, const Metrics& metrics) {
  exchange.response.content_type = Metrics::kContentType;
  exchange.response.body = metrics.render();
  co_return;
}

asio::awaitable<void> Api::health(Exchange& exchange) { return answer_health(exchange); }

asio::awaitable<void> Api::readiness(Exchange& exchange) {
  bool ready = true;
  std::string checks;
  for (const ReadinessCheck& check : parts_.readiness) {
    std::string problem = check.problem();
    ready = ready && problem.empty();
    checks += checks.empty() ? "" : ",";
    append_json_string(check.name, checks);
    checks += ':';
    append_json_string(problem.empty() ? "ok" : problem, checks);
  }
  exchange.response.status = ready ? 200 : 503;
  answer_json(exchange.response,
              std::string("{\"ready\":") + (ready ? "true" : "false") + ",\"checks\":{" + checks + "}}");
  co_return;
}

asio::awaitable<void> Api::metrics(Exchange& exchange) { return answer_metrics(exchange, parts_.metrics); }

asio::awaitable<void> Api::openapi(Exchange& exchange) {
  exchange.response.content_type = kJson;
  exchange.response.shared_body = kOpenApi;
  co_return;
}

asio::awaitable<void> Api::demo(Exchange& exchange) {
  parts_.demo->answer(exchange.request.path(), exchange.response);
  co_return;
}

}  // namespace sealcast::rpc
