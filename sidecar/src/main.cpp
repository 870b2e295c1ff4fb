// sealcastd: composes the parts in the order a message meets them, serves, and drains when told to stop.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <ctime>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "admission/admission.h"
#include "audience/audience.h"
#include "audience/heartbeats.h"
#include "audience/hls.h"
#include "audience/livekit.h"
#include "cells/cells.h"
#include "config/secret_file.h"
#include "config/settings.h"
#include "delivery/delivery.h"
#include "delivery/registry.h"
#include "gate/limits.h"
#include "gate/redis_gate.h"
#include "gate/socket_server.h"
#include "history/access_cache.h"
#include "history/history.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "regions/regions.h"
#include "relay/maintenance.h"
#include "relay/relay.h"
#include "replay/replay.h"
#include "rpc/api.h"
#include "rpc/client_address.h"
#include "rpc/server.h"
#include "session/session.h"
#include "storm/storm.h"
#include "switching/switching.h"
#include "transport/sse/hub.h"
#include "worker/process.h"

namespace sealcast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kToEnd{1};
constexpr std::size_t kReadConnections = 2;                         // for history, stream access and the gate's caches
constexpr rlim_t kOtherFiles = SocketServer::kMaxConnections + 64;  // with Postgres, Redis, what libraries open
constexpr std::chrono::seconds kAccessAge{10};                      // of what heartbeats ask
constexpr std::size_t kAccessEntries = 10'000;
constexpr std::size_t kMaxReads = 8192;  // waiting on one of them; thousands of readers may come at once

std::string hs256_secret(const Settings& settings) {
  const std::string& file = settings.session.hs256_secret_file;
  return file.empty() ? std::string() : read_secret_file("session.hs256_secret_file", file);
}

std::string ticket_secret(const Settings& settings) {
  const std::string& file = settings.session.ticket_secret_file;
  return file.empty() ? hs256_secret(settings) : read_secret_file("session.ticket_secret_file", file);
}

std::optional<rpc::StaticFiles> demo_files(const Settings::Demo& demo) {
  if (demo.directory.empty()) return std::nullopt;
  return rpc::StaticFiles(demo.directory, demo.connect_origins);
}

class Sidecar {
 public:
  Sidecar(asio::io_context& context, const Settings& settings)
      : context_(context),
        settings_(settings),
        sessions_(
            {hs256_secret(settings), settings.session.jwks_file, settings.session.issuer, settings.session.audience}),
        tickets_(ticket_secret(settings)),
        token_makers_(make_token_makers(settings)),
        redis_(context.get_executor(), gate_redis_options(settings.gate)),
        gate_(redis_, metrics_, {settings.gate.timeout, settings.gate.replay_window}),
        pool_(context.get_executor(), {settings.postgres.dsn, "reads", settings.postgres.timeout, kMaxReads},
              kReadConnections),
        limits_source_(pool_),
        limits_(context.get_executor(), limits_source_, settings.gate.role_cache),
        cells_(context.get_executor(), pool_),
        history_(context.get_executor(), pool_),
        hub_(context.get_executor(), history_, metrics_, hub_settings(Channel::everyone)),
        vip_hub_(context.get_executor(), history_, metrics_, hub_settings(Channel::all_messages)),
        routing_(context.get_executor(), pool_, settings.delivery),
        deliveries_(make_deliveries()),
        relay_(context.get_executor(), metrics_,
               {settings.relay.dsn, settings.relay.holder, settings.postgres.timeout, settings.relay.lease,
                settings.relay.poll, static_cast<std::int32_t>(settings.relay.max_rows)},
               transports(), [this](std::span<const FramePtr> frames) { storm_.observe(frames); }),
        storm_(context.get_executor(),
               {settings.relay.dsn,
                settings.postgres.timeout,
                {static_cast<double>(settings.sampling.storm), settings.sampling.calm},
                settings.sampling.repeat},
               {metrics_, [this] { return relay_.leads(); }, [this] { relay_.wake(); }}),
        switching_(context.get_executor(), switching_settings(), switching_parts()),
        maintenance_(context.get_executor(), settings.relay.dsn),
        admission_(
            context.get_executor(), metrics_,
            {settings.postgres.dsn, settings.postgres.timeout, static_cast<std::size_t>(settings.admission.lanes),
             static_cast<std::size_t>(settings.admission.max_batch),
             static_cast<std::size_t>(settings.admission.max_waiting)},
            [this] { relay_.wake(); }),
        audience_redis_(context.get_executor(), audience_redis_options()),
        heartbeats_(
            context.get_executor(), audience_redis_, metrics_,
            {settings.audience.window, settings.gate.timeout, static_cast<std::size_t>(settings.audience.max_waiting)}),
        hls_(context.get_executor(), audience_redis_, settings.audience.window, settings.gate.timeout),
        livekit_(make_livekit(context.get_executor(), settings)),
        audience_(
            context.get_executor(),
            {settings.postgres.dsn, settings.postgres.timeout, settings.audience.update, settings.audience.repeat},
            {metrics_, livekit_.get(), &hls_, [this] { return relay_.leads(); }, [this] { relay_.wake(); }}),
        readers_(history_, kAccessAge, kAccessEntries),
        regions_(context.get_executor(), metrics_, settings.regions),
        api_({sessions_,
              tickets_,
              settings.session.ticket_ttl,
              token_makers_,
              settings.session.transport_token_ttl,
              limits_,
              cells_,
              gate_,
              admission_,
              pool_,
              history_,
              readers_,
              heartbeats_,
              hub_,
              vip_hub_,
              regions_,
              metrics_,
              rpc::TrustedProxies(settings.http.trusted_proxies),
              readiness(),
              demo_files(settings.demo)}),
        router_(api_.router()),
        server_(context.get_executor(), router_, metrics_,
                {settings.http.listen, static_cast<std::uint64_t>(settings.http.max_body_bytes),
                 static_cast<std::uint32_t>(settings.http.max_header_bytes),
                 static_cast<std::size_t>(settings.http.max_connections),
                 static_cast<std::size_t>(settings.http.max_pipelined), settings.http.read_timeout,
                 settings.http.cors_origins, [this] { return hub_.size() + vip_hub_.size(); }}) {
    for (sse::Hub* hub : {&hub_, &vip_hub_}) {
      hub->serves = [this](const std::string& stream_id) { return cells_.elsewhere(stream_id) == nullptr; };
    }
    cells_.on_change = [this] {
      hub_.dismiss_moved();
      vip_hub_.dismiss_moved();
    };
    if (!settings.gate.socket.empty()) {
      socket_.emplace(context.get_executor(), gate_, limits_, metrics_,
                      SocketServerSettings{settings.gate.socket, settings.gate.socket_group});
    }
  }

  void start() {
    server_.start();
    if (socket_) socket_->start();
    redis_.start();
    // Limits and cells are read as soon as somebody can tell them.
    pool_.on_connect = [this] {
      if (std::exchange(reading_, true)) return;
      limits_.start();
      cells_.start();
    };
    pool_.start();
    admission_.start();
    routing_.start();
    for (const auto& delivery : deliveries_) delivery->start();
    relay_.start();
    audience_redis_.start();
    audience_.start();
    storm_.start();
    switching_.start();
    maintenance_.start();
    regions_.start();
    auto address = server_.address();
    std::string listen =
        address.address().is_v6() ? "[" + address.address().to_string() + "]" : address.address().to_string();
    listen += ":" + std::to_string(address.port());
    log::write(log::Level::info, log::tag::kLifecycle, "sealcastd serves",
               {{"version", SEALCAST_VERSION}, {"listen", listen}});
  }

  // Answers what was asked, relays what was committed, tells the readers when to come back.
  asio::awaitable<void> drain() {
    draining_ = true;
    auto deadline = Clock::now() + settings_.drain_timeout;
    log::write(log::Level::info, log::tag::kLifecycle, "draining");
    server_.drain();
    if (socket_) socket_->stop();
    maintenance_.stop();
    audience_.stop();
    storm_.stop();
    switching_.stop();
    regions_.stop();
    limits_.stop();
    cells_.stop();
    while ((server_.busy() || !admission_.idle() || (socket_ && socket_->connections() > 0)) &&
           Clock::now() < deadline) {
      co_await pause();
    }
    bool complete = !server_.busy() && admission_.idle();
    co_await relay_.finish(deadline);
    for (const auto& delivery : deliveries_) co_await delivery->finish(deadline);
    routing_.stop();
    hub_.close();
    vip_hub_.close();
    admission_.stop();
    pool_.stop();
    redis_.stop();
    audience_redis_.stop();
    server_.close();
    log::write(complete ? log::Level::info : log::Level::warn, log::tag::kLifecycle,
               complete ? "drained" : "stopping with requests under way: drain_timeout has passed");
  }

 private:
  asio::awaitable<void> pause() {
    asio::steady_timer timer(context_, std::chrono::milliseconds(5));
    co_await timer.async_wait(asio::use_awaitable);
  }

  sse::HubSettings hub_settings(Channel channel) const {
    const auto& own = settings_.sse;
    return {channel, own.heartbeat, own.retry, static_cast<std::size_t>(own.max_subscribers),
            static_cast<std::size_t>(own.ring_frames)};
  }

  std::vector<std::unique_ptr<Delivery>> make_deliveries() {
    const auto& own = settings_.delivery;
    std::vector<std::unique_ptr<Delivery>> deliveries;
    for (auto& adapter : make_adapters(context_.get_executor(), settings_)) {
      deliveries.push_back(std::make_unique<Delivery>(
          context_.get_executor(), metrics_, routing_, std::move(adapter),
          DeliverySettings{settings_.relay.dsn, settings_.postgres.timeout, own.timeout, own.give_up,
                           static_cast<std::size_t>(own.max_in_flight), static_cast<std::size_t>(own.max_frames),
                           static_cast<std::size_t>(own.max_bytes)}));
    }
    return deliveries;
  }

  std::vector<Transport*> transports() {
    std::vector<Transport*> all{&hub_, &vip_hub_};
    for (const auto& delivery : deliveries_) all.push_back(delivery.get());
    return all;
  }

  SwitchingSettings switching_settings() const {
    const auto& own = settings_.switching;
    return {settings_.relay.dsn,
            settings_.postgres.timeout,
            own.target,
            own.home,
            static_cast<std::int32_t>(own.soft),
            static_cast<std::int32_t>(own.hard),
            static_cast<std::int32_t>(own.low),
            own.hold,
            own.window,
            own.overlap,
            own.repeat};
  }

  Switching::Parts switching_parts() {
    return {metrics_,
            [this] { return relay_.leads(); },
            [this] { relay_.wake(); },
            [this] { return routing_.refresh(); },
            [this](std::string_view transport, std::string_view stream_id) {
              return channel_of(settings_, transport, stream_id);
            },
            [this](std::string_view transport, std::string_view stream_id) {
              if (!token_makers_.contains(transport)) return std::string();
              return tickets_.issue_migration(stream_id, transport,
                                              std::time(nullptr) + TicketIssuer::kMigrationLife.count());
            },
            make_webhook()};
  }

  std::unique_ptr<Webhook> make_webhook() const {
    const auto& own = settings_.switching;
    if (own.webhook_url.empty()) return nullptr;
    return std::make_unique<Webhook>(context_.get_executor(), own.webhook_url,
                                     read_secret_file("switching.webhook_secret_file", own.webhook_secret_file),
                                     own.webhook_ca_file);
  }

  // The gate's Redis, on a connection of its own: its checks never wait behind what counts viewers.
  redis::Options audience_redis_options() const {
    redis::Options options = gate_redis_options(settings_.gate);
    options.log_tag = log::tag::kAudience;
    return options;
  }

  std::vector<rpc::ReadinessCheck> readiness() {
    return {
        {"sealcastd", [this] { return draining_ ? std::string("it is stopping") : std::string(); }},
        {"postgres", [this] { return admission_.problem(); }},
        {"limits", [this] { return limits_.loaded() ? std::string() : "message types were not read yet"; }},
        {"cells", [this] { return cells_.loaded() ? std::string() : "the cells were not read yet"; }},
        {"redis", [this] { return gate_.ready() ? std::string() : "no connection"; }},
        {"relay", [this] { return relay_.listening() ? std::string() : "not listening"; }},
        {"maintenance",
         [this] { return maintenance_.done() ? std::string() : "sealcast.maintain() did not succeed yet"; }},
    };
  }

  asio::io_context& context_;
  const Settings& settings_;
  Metrics metrics_;
  SessionVerifier sessions_;
  TicketIssuer tickets_;
  TokenMakers token_makers_;
  redis::Client redis_;
  RedisGate gate_;
  pg::Pool pool_;
  PostgresLimits limits_source_;
  Limits limits_;
  std::optional<SocketServer> socket_;
  Cells cells_;
  History history_;
  sse::Hub hub_;
  sse::Hub vip_hub_;
  Routing routing_;
  std::vector<std::unique_ptr<Delivery>> deliveries_;
  Relay relay_;
  Storm storm_;
  Switching switching_;
  Maintenance maintenance_;
  Admission admission_;
  redis::Client audience_redis_;
  Heartbeats heartbeats_;
  HlsViewers hls_;
  std::unique_ptr<ViewerSource> livekit_;
  Audience audience_;
  AccessCache readers_;
  Regions regions_;
  rpc::Api api_;
  rpc::Router router_;
  rpc::Server server_;
  bool reading_ = false;
  bool draining_ = false;
};

// Each client is an open file.
void raise_file_limit(const Settings& settings) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  auto needed = static_cast<rlim_t>(settings.http.max_connections) + kOtherFiles;
  if (limit.rlim_max >= needed) return;
  log::write(log::Level::warn, log::tag::kLifecycle,
             "this process may not open as many files as http.max_connections needs; raise its limit (LimitNOFILE, "
             "ulimit -Hn) or lower the setting",
             {{"limit", static_cast<std::int64_t>(limit.rlim_max)}, {"needed", static_cast<std::int64_t>(needed)}});
}

// A core has every secret in it. The hard limit stays: who wants a core can have it, by prlimit (docs/security.md).
void forbid_core_dump() {
  rlimit limit;
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = 0;
  setrlimit(RLIMIT_CORE, &limit);
}

log::Level level_of(const std::string& name) {
  if (name == "debug") return log::Level::debug;
  if (name == "warn") return log::Level::warn;
  if (name == "error") return log::Level::error;
  return log::Level::info;
}

// Runs the process until it is told to stop and has drained.
template <typename Process, typename... Arguments>
int serve(const Settings& settings, const Arguments&... arguments) {
  log::set_level(level_of(settings.log.level));
  raise_file_limit(settings);
  std::signal(SIGPIPE, SIG_IGN);
  asio::io_context context(1);
  Process process(context, settings, arguments...);
  process.start();
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code ec, int) {
    if (!ec) asio::co_spawn(context, process.drain(), [&](std::exception_ptr) { context.stop(); });
  });
  context.run();
  // Everything is stopped; what was cut off ends now.
  context.restart();
  context.run_for(kToEnd);
  // What still hangs is better left to the kernel than taken apart under its handlers.
  if (!context.stopped()) std::_Exit(0);
  return 0;
}

}  // namespace
}  // namespace sealcast

// NOLINTNEXTLINE(bugprone-exception-escape): options that contradict each other are a mistake of ours, and end it.
int main(int argc, char** argv) {
  CLI::App app{
      "The sidecar of Sealcast: takes messages over HTTP, admits them into Postgres, delivers them to readers."};
  std::string config;
  bool check = false, print = false;
  app.add_option("--config", config, "The settings file (TOML); SEALCAST_… variables override it");
  app.add_flag("--check-config", check, "Check the settings and exit");
  app.add_flag("--print-settings", print, "Print every setting as a Markdown table and exit");
  std::string group;
  CLI::App* const worker = app.add_subcommand("worker", "Apply the handlers of a group to all messages, each once");
  worker->add_option("--group", group, "The group: see sealcast.register_handler()")->required();
  sealcast::ReplayRequest again;
  CLI::App* const replay = app.add_subcommand("replay", "Add messages to the event partitions again, from the history");
  replay->add_option("--from", again.from, "A time, or with --stream an offset")->required();
  replay->add_option("--stream", again.stream_id, "Of this stream alone");
  for (CLI::App* const command : {worker, replay}) command->fallthrough();
  app.set_version_flag("--version", "sealcastd " SEALCAST_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    if (print) {
      sealcast::print_settings_table(std::cout);
      return 0;
    }
    sealcast::forbid_core_dump();
    sealcast::Settings settings = sealcast::load_settings(config, environ);
    sealcast::check_transports(settings);
    if (check) {
      std::cout << "the settings are in order\n";
      return 0;
    }
    if (*worker) return sealcast::serve<sealcast::WorkerProcess>(settings, group);
    if (*replay) {
      sealcast::replay(settings, again);
      return 0;
    }
    return sealcast::serve<sealcast::Sidecar>(settings);
  } catch (const std::exception& error) {
    std::cerr << "sealcastd: " << error.what() << '\n';
    return 1;
  }
}
