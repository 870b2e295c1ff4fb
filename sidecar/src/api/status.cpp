// The routes that describe the process itself: GET /healthz, /readyz, /metrics and /openapi.json. Also the files of the
// demo room.
#include "api/openapi.h"
#include "api/routes.h"
#include "base/json.h"
#include "base/metrics.h"

namespace sealcast::api {

http::Handler health() {
  return http::immediate([](http::Exchange& exchange) { http::answer_json(exchange.response, R"({"status":"ok"})"); });
}

http::Handler readiness(std::vector<ReadinessCheck> checks) {
  return http::immediate([checks = std::move(checks)](http::Exchange& exchange) {
    bool ready = true;
    std::string results;
    JsonObject object(results);
    for (const ReadinessCheck& check : checks) {
      const std::string problem = check.problem();
      ready = ready && (problem.empty() || !check.required);
      object.text(check.name, problem.empty() ? "ok" : problem);
    }
    object.end();
    exchange.response.status = ready ? 200 : 503;
    std::string body;
    JsonObject(body).boolean("ready", ready).json("checks", results).end();
    http::answer_json(exchange.response, std::move(body));
  });
}

http::Handler metrics(const Metrics& metrics) {
  return http::immediate([&metrics](http::Exchange& exchange) {
    exchange.response.content_type = Metrics::kContentType;
    exchange.response.body = metrics.render();
  });
}

http::Handler openapi() {
  return http::immediate([](http::Exchange& exchange) {
    exchange.response.content_type = http::kJson;
    exchange.response.shared_body = kOpenApi;
  });
}

http::Handler demo(http::StaticFiles files) {
  return http::immediate([files = std::move(files)](http::Exchange& exchange) {
    files.answer(exchange.request.path(), exchange.response);
  });
}

}  // namespace sealcast::api
