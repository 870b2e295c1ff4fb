// Starts and stops a worker.
#include "app/worker_process.h"

#include <utility>
#include <vector>

#include "api/status.h"
#include "base/log.h"

namespace sealcast {
namespace {

// Names what would otherwise fail at the first connection.
const Settings& checked(const Settings& settings) {
  if (settings.redis_events.url.empty()) {
    throw SettingsError("redis_events.url is empty, so that there is nothing to read; write the Redis of the sidecars");
  }
  return settings;
}

}  // namespace

WorkerProcess::WorkerProcess(asio::io_context& context, const Settings& settings, const std::string& group)
    : settings_(checked(settings)),
      group_(group),
      router_(router()),
      worker_(context.get_executor(), metrics_, settings, group) {
  if (settings.worker.listen.empty()) return;
  const auto& http = settings.http;
  server_.emplace(context.get_executor(), router_, metrics_,
                  rpc::ServerSettings{settings.worker.listen,
                                      static_cast<std::uint64_t>(http.max_body_bytes),
                                      static_cast<std::uint32_t>(http.max_header_bytes),
                                      static_cast<std::size_t>(http.max_connections),
                                      static_cast<std::size_t>(http.max_pipelined),
                                      static_cast<std::size_t>(http.max_unsent_bytes),
                                      http.read_timeout,
                                      {},
                                      [] { return std::size_t{0}; }});
}

rpc::Router WorkerProcess::router() {
  std::vector<rpc::Route> routes{
      {rpc::beast::http::verb::get, "/healthz",
       [](rpc::Exchange& exchange, std::string_view) { return rpc::answer_health(exchange); }, nullptr},
      {rpc::beast::http::verb::get, "/metrics",
       [this](rpc::Exchange& exchange, std::string_view) { return rpc::answer_metrics(exchange, metrics_); }, nullptr},
  };
  return rpc::Router(std::move(routes), rpc::Handler(), &metrics_.other_seconds);
}

void WorkerProcess::start() {
  if (server_) server_->start();
  worker_.start();
  log::write(log::Level::info, log::tag::kLifecycle, "sealcastd works on events",
             {{"version", SEALCAST_VERSION}, {"group", std::string_view(group_)}});
}

asio::awaitable<void> WorkerProcess::drain() {
  log::write(log::Level::info, log::tag::kLifecycle, "draining");
  co_await worker_.finish(Worker::Clock::now() + settings_.drain_timeout);
  if (server_) server_->close();
  log::write(log::Level::info, log::tag::kLifecycle, "drained");
}

}  // namespace sealcast
