// The program sealcastd: reads the command line and the settings, then runs the sidecar, a worker, a replay or an
// erasure.
//
// SIGTERM and SIGINT shut the process down; a second one ends the lame-duck time, and a third one ends the process.
// SIGHUP reloads what can be reloaded.
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <functional>
#include <iostream>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "app/erase_user.h"
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

// By default, each large block that is freed raises the size up to which blocks come from the heap, to at most 32 MiB.
// Small blocks then lie between the large ones, and the heap keeps the memory of pages and bodies long after they are
// sent. Blocks above a fixed size go back to the kernel at once.
void return_large_blocks() { mallopt(M_MMAP_THRESHOLD, 32 * 1024); }

// Ends the process when the system gives no more memory. A bad_alloc that unwinds coroutines corrupts the heap with GCC
// 12, and the process has no state that matters.
void end_without_memory() {
  std::set_new_handler([] {
    constexpr std::string_view kProblem =
        "sealcastd: the system gives no more memory; lower memory.max_bytes, or raise the limit of the process\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kProblem.data(), kProblem.size());
    std::_Exit(1);
  });
}

// What SIGHUP takes without a restart: the level of the log, and whatever Process::reload() takes.
bool is_reloaded(std::string_view setting) {
  return setting == "log.level" || setting == "session.issuer" || setting == "session.audience" ||
         setting == "session.hs256_secret_file" || setting == "session.jwks_file" ||
         setting == "session.ticket_secret_file";
}

// Reads the settings again. `current` are those of the start.
template <typename Process>
void reload(const std::string& file, const config::Settings& current, Process& process) {
  try {
    const config::Settings fresh = config::load_settings(file, environ);
    process.reload(fresh);
    log::set_level(log::level_named(fresh.log.level).value_or(log::Level::info));
    std::string rest;
    for (const std::string& name : config::differing_settings(current, fresh)) {
      // By default the name of the holder is random.
      if (!is_reloaded(name) && name != "relay.holder") rest += (rest.empty() ? "" : ", ") + name;
    }
    log::write(log::Level::info, log::tag::kLifecycle,
               "reloaded: the level of the log, the session secrets and key sets, the secrets of reader tokens and of "
               "the webhook; everything else needs a restart",
               {{"changed_and_not_reloaded", rest}});
  } catch (const std::exception& error) {
    log::write(log::Level::error, log::tag::kLifecycle, "cannot reload; the last settings stay in force",
               {{"reason", std::string_view(error.what())}});
  }
}

// Runs the process until a signal has shut it down. Returns the exit status.
template <typename Process, typename... Arguments>
int serve(const std::string& file, const config::Settings& settings, const Arguments&... arguments) {
  log::set_level(log::level_named(settings.log.level).value_or(log::Level::info));
  std::optional<log::Writer> writer(std::in_place);
  raise_file_limit(settings);
  std::signal(SIGPIPE, SIG_IGN);
  asio::io_context context(1);
  Process process(context, settings, arguments...);
  process.start();
  asio::signal_set stop(context, SIGTERM, SIGINT);
  int stops = 0;
  std::function<void()> watch_stop = [&] {
    stop.async_wait([&](boost::system::error_code ec, int) {
      if (ec) return;
      if (++stops == 1) {
        asio::co_spawn(context, process.shut_down(), [&](std::exception_ptr) { context.stop(); });
      } else if (stops == 2) {
        log::write(log::Level::info, log::tag::kLifecycle,
                   "a second signal ends the lame-duck time; a third one ends the process at once");
        process.end_lame_duck();
      } else {
        log::write(log::Level::warn, log::tag::kLifecycle, "a third signal ends the process before it is drained");
        writer.reset();
        std::_Exit(1);
      }
      watch_stop();
    });
  };
  watch_stop();
  asio::signal_set hang_up(context, SIGHUP);
  std::function<void()> watch_hang_up = [&] {
    hang_up.async_wait([&](boost::system::error_code ec, int) {
      if (ec) return;
      reload(file, settings, process);
      watch_hang_up();
    });
  };
  watch_hang_up();
  context.run();
  stop.cancel();
  hang_up.cancel();
  // All parts are stopped; the handlers of cancelled operations run now.
  context.restart();
  context.run_for(kLastHandlers);
  // A handler that still waits has references to `process`. So the program exits without destroying `process`.
  if (!context.stopped()) {
    writer.reset();
    std::_Exit(0);
  }
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
  replay->add_option("--rate", request.rate, "Messages per second, while the workers keep up; 0: no limit")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'000'000));
  for (CLI::App* const command : {worker, replay}) command->fallthrough();
  EraseRequest erasure;
  CLI::App* const erase = app.add_subcommand("erase-user", "Erase what a user has written, in all streams");
  erase->add_option("USER_ID", erasure.user_id, "The user (UUID)")->required();
  erase->add_option("--dsn", erasure.dsn, "Connection string of a member of sealcast_admin; PG… variables complete it");
  app.set_version_flag("--version", "sealcastd " SEALCAST_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    if (print) {
      config::print_settings_table(std::cout);
      return 0;
    }
    forbid_core_dump();
    if (*erase) {
      erase_user(erasure);
      return 0;
    }
    return_large_blocks();
    end_without_memory();
    config::Settings settings = config::load_settings(config, environ);
    check_transports(settings);
    if (check) {
      // Composing the process reads the files that the settings name: secrets, key sets, certificates, the Geo-IP
      // database.
      asio::io_context context(1);
      if (*worker) {
        WorkerProcess(context, settings, group);
      } else {
        Sidecar(context, settings);
      }
      std::cout << "the settings are valid\n";
      return 0;
    }
    if (*worker) return serve<WorkerProcess>(config, settings, group);
    if (*replay) {
      events::replay(settings, request);
      return 0;
    }
    return serve<Sidecar>(config, settings);
  } catch (const std::exception& error) {
    std::cerr << "sealcastd: " << error.what() << '\n';
    return 1;
  }
}

}  // namespace
}  // namespace sealcast::app

// NOLINTNEXTLINE(bugprone-exception-escape): CLI11 throws only when the options above contradict each other.
int main(int argc, char** argv) { return sealcast::app::run(argc, argv); }
