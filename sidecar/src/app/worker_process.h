// The process `sealcastd worker`: a worker, and an HTTP server for /healthz, /readyz and /metrics at worker.listen.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>

#include "base/asio.h"
#include "base/memory_budget.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "events/worker.h"
#include "http/router.h"
#include "http/server.h"

namespace sealcast::app {

class WorkerProcess {
 public:
  // `settings` must stay valid as long as this object. Throws SettingsError if redis_events.url is empty.
  WorkerProcess(asio::io_context& context, const config::Settings& settings, const std::string& group);

  void start();
  void reload(const config::Settings&) {}  // a worker has nothing to take without a restart
  asio::awaitable<void> shut_down();
  void end_lame_duck() {}  // a worker has no lame-duck time

 private:
  http::Router router();

  const config::Settings& settings_;
  const std::string group_;
  Metrics metrics_;
  MemoryBudget memory_;
  http::Router router_;
  std::optional<http::Server> server_;
  events::Worker worker_;
  bool shutting_down_ = false;
};

}  // namespace sealcast::app
