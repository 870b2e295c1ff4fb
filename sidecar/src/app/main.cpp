// The program sealcastd: reads the command line and the settings, then runs the sidecar, a worker or a replay.
//
// SIGTERM and SIGINT shut the process down.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>

#include "app/sidecar.h"
#include "app/transports.h"
#include "app/worker_process.h"
#include "base/asio.h"
#include "base/log.h"
#include "config/settings.h"
#include "events/replay.h"
#include "message/gate_socket.h"

namespace sealcast::app {
namespace {

constexpr std::chrono::seconds kLastHandlers{1};
// Open files besides HTTP connections: the connections of the gate socket, and 64 for Postgres, Redis, outside services
// and libraries.
constexpr rlim_t kOtherFiles = message::GateSocket::kMaxConnections + 64;

// Raises the limit of open files to the hard limit, because each HTTP connection needs an open file. Logs a warning if
// the hard limit is too low for http.max_connections.
void raise_file_limit(const config::Settings& settings) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  auto needed = static_cast<rlim_t>(settings.http.max_connections) + kOtherFiles;
  if (limit.rlim_max >= needed) return;
  log::write(
      log::Level::warn, log::tag::kLifecycle,
      "the limit of open files is too low for http.max_connections; raise the limit (LimitNOFILE, ulimit -Hn) or "
      "lower the setting",
      {{"limit", static_cast<std::int64_t>(limit.rlim_max)}, {"needed", static_cast<std::int64_t>(needed)}});
}

// A core dump would contain every secret. Only the soft limit is set to 0, so an operator can still allow a core dump
// with prlimit (docs/security.md).
void forbid_core_dump() {
  rlimit limit;
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = 0;
  setrlimit(RLIMIT_CORE, &limit);
}

// Runs the process until a signal has shut it down. Returns the exit status.
template <typename Process, typename... Arguments>
int serve(const config::Settings& settings, const Arguments&... arguments) {
  log::set_level(log::level_named(settings.log.level).value_or(log::Level::info));
  raise_file_limit(settings);
  std::signal(SIGPIPE, SIG_IGN);
  asio::io_context context(1);
  Process process(context, settings, arguments...);
  process.start();
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code ec, int) {
    if (!ec) asio::co_spawn(context, process.shut_down(), [&](std::exception_ptr) { context.stop(); });
  });
  context.run();
  // All parts are stopped; the handlers of cancelled operations run now.
  context.restart();
  context.run_for(kLastHandlers);
  // A handler that still waits has references to `process`. So the program exits without destroying `process`.
  if (!context.stopped()) std::_Exit(0);
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app{
      "The sidecar of Sealcast: accepts messages over HTTP, admits them into Postgres, and delivers them to readers"};
  std::string config;
  bool check = false, print = false;
  app.add_option("--config", config, "Settings file (TOML); SEALCAST_… variables override it");
  app.add_flag("--check-config", check, "Check the settings and exit");
  app.add_flag("--print-settings", print, "Print every setting as a Markdown table and exit");
  std::string group;
  CLI::App* const worker = app.add_subcommand("worker", "Apply the handlers of a group, once per message");
  worker->add_option("--group", group, "Group of handlers, see sealcast.register_handler()")->required();
  events::ReplayRequest request;
  CLI::App* const replay = app.add_subcommand("replay", "Add stored messages to the event partitions again");
  replay->add_option("--from", request.from, "First message: a time, or with --stream an offset")->required();
  replay->add_option("--stream", request.stream_id, "Only messages of this stream (UUID)");
  for (CLI::App* const command : {worker, replay}) command->fallthrough();
  app.set_version_flag("--version", "sealcastd " SEALCAST_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    if (print) {
      config::print_settings_table(std::cout);
      return 0;
    }
    forbid_core_dump();
    config::Settings settings = config::load_settings(config, environ);
    check_transports(settings);
    if (check) {
      std::cout << "the settings are valid\n";
      return 0;
    }
    if (*worker) return serve<WorkerProcess>(settings, group);
    if (*replay) {
      events::replay(settings, request);
      return 0;
    }
    return serve<Sidecar>(settings);
  } catch (const std::exception& error) {
    std::cerr << "sealcastd: " << error.what() << '\n';
    return 1;
  }
}

}  // namespace
}  // namespace sealcast::app

// NOLINTNEXTLINE(bugprone-exception-escape): CLI11 throws only when the options above contradict each other.
int main(int argc, char** argv) { return sealcast::app::run(argc, argv); }
