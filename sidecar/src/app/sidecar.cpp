// Composes the sidecar: makes each part, passes it the parts that it uses, and lists all parts in the order in which
// they start.
#include "app/sidecar.h"

#include <ctime>
#include <string>
#include <utility>

#include "base/log.h"
#include "core/token/secret_file.h"
#include "leader/viewers/livekit.h"

namespace sealcast::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadConnections = 2;     // for the statements of routes and of refreshers
constexpr std::chrono::seconds kAccessAge{10};  // minimum time that the access cache keeps an answer
constexpr std::size_t kAccessEntries = 10'000;
// Statements that may wait on one of the kReadConnections: thousands of readers may connect at the same time.
constexpr std::size_t kMaxReads = 8192;

std::string hs256_secret(const config::Settings& settings) {
  const std::string& file = settings.session.hs256_secret_file;
  return file.empty() ? std::string() : core::token::read_secret_file("session.hs256_secret_file", file);
}

std::string ticket_secret(const config::Settings& settings) {
  const std::string& file = settings.session.ticket_secret_file;
  return file.empty() ? hs256_secret(settings) : core::token::read_secret_file("session.ticket_secret_file", file);
}

}  // namespace

Sidecar::Sidecar(asio::io_context& context, const config::Settings& settings)
    : context_(context),
      settings_(settings),
      sessions_(hs256_secret(settings), settings.session),
      tickets_(ticket_secret(settings)),
      token_makers_(make_token_makers(settings)),
      redis_(context.get_executor(), message::gate_redis_options(settings.gate)),
      gate_(redis_, metrics_, settings.gate),
      pool_(context.get_executor(), {settings.postgres.dsn, "reads", settings.postgres.timeout, kMaxReads},
            kReadConnections),
      limits_source_(pool_),
      limits_(context.get_executor(), limits_source_, settings.gate.role_cache),
      cells_(context.get_executor(), pool_),
      history_(context.get_executor(), pool_),
      hub_(context.get_executor(), transport::Channel::everyone, history_, metrics_, settings.sse),
      vip_hub_(context.get_executor(), transport::Channel::all_messages, history_, metrics_, settings.sse),
      routing_(context.get_executor(), pool_, settings.delivery),
      deliveries_(make_deliveries()),
      relay_(context.get_executor(), settings.relay, settings.postgres.timeout,
             {.metrics = metrics_,
              .transports = transports(),
              .observer = [this](std::span<const transport::FramePtr> frames) { sampling_.observe(frames); }}),
      sampling_(context.get_executor(), settings.sampling,
                {.dsn = settings.relay.dsn,
                 .timeout = settings.postgres.timeout,
                 .metrics = metrics_,
                 .leads = [this] { return relay_.leads(); },
                 .on_sent = [this] { relay_.wake(); }}),
      switching_(context.get_executor(), settings.switching, switching_parts()),
      maintenance_(context.get_executor(), settings.relay.dsn),
      admission_(context.get_executor(), settings.admission, settings.postgres,
                 {.metrics = metrics_, .on_commit = [this] { relay_.wake(); }}),
      audience_redis_(context.get_executor(), audience_redis_options()),
      heartbeats_(context.get_executor(), audience_redis_, metrics_, settings.audience, settings.gate.timeout),
      hls_(context.get_executor(), audience_redis_, settings.audience.window, settings.gate.timeout),
      livekit_(leader::viewers::make_livekit(context.get_executor(), settings)),
      viewer_counts_(context.get_executor(), settings.audience,
                     {.dsn = settings.postgres.dsn,
                      .timeout = settings.postgres.timeout,
                      .metrics = metrics_,
                      .webrtc = livekit_.get(),
                      .hls = &hls_,
                      .leads = [this] { return relay_.leads(); },
                      .on_published = [this] { relay_.wake(); }}),
      readers_(history_, kAccessAge, kAccessEntries),
      regions_(context.get_executor(), metrics_, settings.regions),
      callers_(sessions_, tickets_),
      router_(make_router()),
      server_(context.get_executor(),
              {.router = router_,
               .connections = metrics_.http_connections,
               .upgraded = [this] { return hub_.size() + vip_hub_.size(); }},
              {.listen = settings.http.listen,
               .max_body_bytes = settings.http.max_body_bytes,
               .max_header_bytes = settings.http.max_header_bytes,
               .max_connections = settings.http.max_connections,
               .max_pipelined = settings.http.max_pipelined,
               .max_unsent_bytes = settings.http.max_unsent_bytes,
               .read_timeout = settings.http.read_timeout,
               .cors_origins = settings.http.cors_origins}) {
  for (transport::sse::Hub* hub : {&hub_, &vip_hub_}) {
    hub->serves = [this](const std::string& stream_id) { return cells_.elsewhere(stream_id) == nullptr; };
  }
  cells_.on_change = [this] {
    hub_.disconnect_moved_streams();
    vip_hub_.disconnect_moved_streams();
  };
  if (!settings.gate.socket.empty()) {
    gate_socket_.emplace(context.get_executor(), gate_, limits_, metrics_, settings.gate);
  }
  add_parts();
}

// shut_down() stops the parts in the reverse order: first the server stops accepting requests, then every committed
// message is relayed and delivered, then the event streams and the connections to Postgres and Redis close.
void Sidecar::add_parts() {
  parts_.add([this] { redis_.start(); }, [this] { redis_.stop(); });
  parts_.add([this] { audience_redis_.start(); }, [this] { audience_redis_.stop(); });
  parts_.add(
      [this] {
        // limits_ and cells_ read their tables as soon as Postgres answers for the first time.
        pool_.on_connect = [this] {
          if (std::exchange(caches_started_, true)) return;
          limits_.start();
          cells_.start();
        };
        pool_.start();
      },
      [this] {
        limits_.stop();
        cells_.stop();
        pool_.stop();
      });
  parts_.add([this] { admission_.start(); },
             [this](Clock::time_point deadline) -> asio::awaitable<void> {
               const bool idle = co_await admission_.wait_idle(deadline);
               if (!idle) all_answered_ = false;
               admission_.stop();
             });
  parts_.add([] {},
             [this] {
               hub_.close();
               vip_hub_.close();
             });
  parts_.add([this] { routing_.start(); }, [this] { routing_.stop(); });
  for (const auto& delivery : deliveries_) {
    parts_.add([&delivery = *delivery] { delivery.start(); },
               [&delivery = *delivery](Clock::time_point deadline) { return delivery.finish(deadline); });
  }
  parts_.add([this] { relay_.start(); }, [this](Clock::time_point deadline) { return relay_.finish(deadline); });
  parts_.add([this] { viewer_counts_.start(); }, [this] { viewer_counts_.stop(); });
  parts_.add([this] { sampling_.start(); }, [this] { sampling_.stop(); });
  parts_.add([this] { switching_.start(); }, [this] { switching_.stop(); });
  parts_.add([this] { maintenance_.start(); }, [this] { maintenance_.stop(); });
  parts_.add([this] { regions_.start(); }, [this] { regions_.stop(); });
  if (gate_socket_) {
    parts_.add([this] { gate_socket_->start(); },
               [this](Clock::time_point deadline) -> asio::awaitable<void> {
                 gate_socket_->stop();
                 co_await gate_socket_->wait_closed(deadline);
               });
  }
  parts_.add([this] { server_.start(); },
             [this](Clock::time_point deadline) -> asio::awaitable<void> {
               server_.shut_down();
               // The gate socket stops together with the server, so that no new message arrives from HTTP or from SQL.
               if (gate_socket_) gate_socket_->stop();
               const bool idle = co_await server_.wait_idle(deadline);
               if (!idle) all_answered_ = false;
               server_.close();
             });
}

void Sidecar::start() {
  parts_.start();
  const auto address = server_.address();
  std::string listen =
      address.address().is_v6() ? "[" + address.address().to_string() + "]" : address.address().to_string();
  listen += ":" + std::to_string(address.port());
  log::write(log::Level::info, log::tag::kLifecycle, "sealcastd serves",
             {{"version", SEALCAST_VERSION}, {"listen", listen}});
}

asio::awaitable<void> Sidecar::shut_down() {
  shutting_down_ = true;
  log::write(log::Level::info, log::tag::kLifecycle, "shutting down");
  co_await parts_.stop(Clock::now() + settings_.drain_timeout);
  log::write(all_answered_ ? log::Level::info : log::Level::warn, log::tag::kLifecycle,
             all_answered_ ? "stopped" : "stopped with unanswered requests, because drain_timeout has passed");
}

std::vector<std::unique_ptr<transport::outside::Delivery>> Sidecar::make_deliveries() {
  std::vector<std::unique_ptr<transport::outside::Delivery>> deliveries;
  for (auto& adapter : make_adapters(context_.get_executor(), settings_)) {
    deliveries.push_back(std::make_unique<transport::outside::Delivery>(context_.get_executor(), metrics_, routing_,
                                                                        std::move(adapter), settings_));
  }
  return deliveries;
}

std::vector<transport::Transport*> Sidecar::transports() {
  std::vector<transport::Transport*> all{&hub_, &vip_hub_};
  for (const auto& delivery : deliveries_) all.push_back(delivery.get());
  return all;
}

leader::switching::Switching::Parts Sidecar::switching_parts() {
  return {.dsn = settings_.relay.dsn,
          .timeout = settings_.postgres.timeout,
          .metrics = metrics_,
          .leads = [this] { return relay_.leads(); },
          .on_sent = [this] { relay_.wake(); },
          .reroute = [this] { return routing_.refresh(); },
          .channel_of = [this](std::string_view transport,
                               std::string_view stream_id) { return channel_of(settings_, transport, stream_id); },
          .ticket =
              [this](std::string_view transport, std::string_view stream_id) {
                if (!token_makers_.contains(transport)) return std::string();
                return tickets_.issue_migration(stream_id, transport,
                                                std::time(nullptr) + message::TicketIssuer::kMigrationLife.count());
              },
          .webhook = make_webhook()};
}

std::unique_ptr<leader::switching::Webhook> Sidecar::make_webhook() const {
  const auto& own = settings_.switching;
  if (own.webhook_url.empty()) return nullptr;
  return std::make_unique<leader::switching::Webhook>(
      context_.get_executor(), own.webhook_url,
      core::token::read_secret_file("switching.webhook_secret_file", own.webhook_secret_file), own.webhook_ca_file);
}

// Returns the options of the second connection to the gate's Redis. Viewers are counted over it, so that the checks of
// the gate never wait behind commands that count viewers.
redis::Options Sidecar::audience_redis_options() const {
  redis::Options options = message::gate_redis_options(settings_.gate);
  options.log_tag = log::tag::kAudience;
  return options;
}

std::vector<api::ReadinessCheck> Sidecar::readiness() {
  return {
      {"sealcastd", [this] { return shutting_down_ ? std::string("sealcastd is shutting down") : std::string(); }},
      {"postgres", [this] { return admission_.problem(); }},
      {"limits", [this] { return limits_.loaded() ? std::string() : "message types were not read yet"; }},
      {"cells", [this] { return cells_.loaded() ? std::string() : "the cells were not read yet"; }},
      {"redis", [this] { return gate_.ready() ? std::string() : "no connection"; }},
      {"relay", [this] { return relay_.listening() ? std::string() : "not listening"; }},
      {"maintenance",
       [this] { return maintenance_.done() ? std::string() : "sealcast.maintain() did not succeed yet"; }},
  };
}

}  // namespace sealcast::app
