// Runs a worker and serves /healthz, /readyz and /metrics.
#include "app/worker_process.h"

#include <utility>
#include <vector>

#include "api/routes.h"
#include "base/log.h"

namespace sealcast::app {
namespace {

// Throws SettingsError if redis_events.url is empty. Otherwise the worker would notice the missing URL only at its
// first connection.
const config::Settings& checked(const config::Settings& settings) {
  if (settings.redis_events.url.empty()) {
    throw core::SettingsError(
        "redis_events.url is empty, so there are no event partitions; write the URL that the sidecars use");
  }
  return settings;
}

}  // namespace

WorkerProcess::WorkerProcess(asio::io_context& context, const config::Settings& settings, const std::string& group)
    : settings_(checked(settings)),
      group_(group),
      memory_(context.get_executor(), metrics_, settings.memory.max_bytes),
      router_(router()),
      worker_(context.get_executor(), metrics_, settings, group) {
  if (settings.worker.listen.empty()) return;
  const config::Settings::Http& http = settings.http;
  server_.emplace(context.get_executor(),
                  http::Server::Dependencies{.router = router_,
                                             .memory = memory_,
                                             .connections = metrics_.http_connections,
                                             .upgraded = [] { return std::size_t{0}; }},
                  http::ServerSettings{.listen = settings.worker.listen,
                                       .max_body_bytes = http.max_body_bytes,
                                       .max_header_bytes = http.max_header_bytes,
                                       .max_connections = http.max_connections,
                                       .max_pipelined = http.max_pipelined,
                                       .read_timeout = http.read_timeout,
                                       .keep_alive = http.keep_alive,
                                       .ack_timeout = http.ack_timeout,
                                       .cors_origins = {},
                                       .cors_headers = {}});
}

http::Router WorkerProcess::router() {
  std::vector<api::ReadinessCheck> checks{
      {"sealcastd", [this] { return std::string(shutting_down_ ? "shutting down" : ""); }},
      {"postgres", [this] { return worker_.postgres_problem(); }},
      {"redis", [this] { return worker_.redis_problem(); }},
      {"partitions", [this] { return worker_.partitions_problem(); }}};
  return http::Router({{http::Method::get, "/healthz", api::health(), nullptr},
                       {http::Method::get, "/readyz", api::readiness(std::move(checks)), nullptr},
                       {http::Method::get, "/metrics", api::metrics(metrics_), nullptr}},
                      nullptr, &metrics_.other_seconds);
}

void WorkerProcess::start() {
  if (server_) server_->start();
  worker_.start();
  log::write(log::Level::info, log::tag::kLifecycle, "the worker has started",
             {{"version", SEALCAST_VERSION}, {"group", std::string_view(group_)}});
}

asio::awaitable<void> WorkerProcess::shut_down() {
  shutting_down_ = true;
  log::write(log::Level::info, log::tag::kLifecycle, "shutting down");
  co_await worker_.shut_down(events::Worker::Clock::now() + settings_.drain_timeout);
  if (server_) server_->close();
  log::write(log::Level::info, log::tag::kLifecycle, "shut down");
}

}  // namespace sealcast::app
