// Runs a worker and serves /healthz and /metrics.
#include "app/worker_process.h"

#include <utility>
#include <vector>

#include "api/status.h"
#include "base/log.h"

namespace sealcast::app {
namespace {

// A missing URL would otherwise be noticed only at the first connection.
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
      router_(router()),
      worker_(context.get_executor(), metrics_, settings, group) {
  if (settings.worker.listen.empty()) return;
  const auto& http = settings.http;
  server_.emplace(context.get_executor(), router_, metrics_,
                  http::ServerSettings{settings.worker.listen,
                                       static_cast<std::uint64_t>(http.max_body_bytes),
                                       static_cast<std::uint32_t>(http.max_header_bytes),
                                       static_cast<std::size_t>(http.max_connections),
                                       static_cast<std::size_t>(http.max_pipelined),
                                       static_cast<std::size_t>(http.max_unsent_bytes),
                                       http.read_timeout,
                                       {},
                                       [] { return std::size_t{0}; }});
}

http::Router WorkerProcess::router() {
  std::vector<http::Route> routes{
      {http::Method::get, "/healthz",
       [](http::Exchange& exchange, std::string_view) { return api::answer_health(exchange); }, nullptr},
      {http::Method::get, "/metrics",
       [this](http::Exchange& exchange, std::string_view) { return api::answer_metrics(exchange, metrics_); }, nullptr},
  };
  return http::Router(std::move(routes), http::Handler(), &metrics_.other_seconds);
}

void WorkerProcess::start() {
  if (server_) server_->start();
  worker_.start();
  log::write(log::Level::info, log::tag::kLifecycle, "the worker has started",
             {{"version", SEALCAST_VERSION}, {"group", std::string_view(group_)}});
}

asio::awaitable<void> WorkerProcess::shut_down() {
  log::write(log::Level::info, log::tag::kLifecycle, "shutting down");
  co_await worker_.shut_down(events::Worker::Clock::now() + settings_.drain_timeout);
  if (server_) server_->close();
  log::write(log::Level::info, log::tag::kLifecycle, "shut down");
}

}  // namespace sealcast::app
