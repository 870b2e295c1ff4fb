// Composes the sidecar: makes each part, passes it the parts that it uses, and lists all parts in the order in which
// they start.
#include "app/sidecar.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "client/webhook/secrets.h"
#include "core/token/secret_file.h"
#include "leader/viewers/livekit.h"
#include "transport/webhooks/message_sent.h"

namespace sealcast::app {
namespace {

using Clock = std::chrono::steady_clock;

// Each class of work has connections of its own, so that none waits for another: what readers ask for; the pages of
// event streams that catch up, which thousands of readers may need at the same time; what the caches and the checks of
// open event streams read; calls of moderation, which may wait for locks; and /rpc/verify, whose statements take the
// longest.
constexpr std::size_t kReadConnections = 2;
constexpr std::size_t kCatchUpConnections = 2;
constexpr std::size_t kCacheConnections = 1;
constexpr std::size_t kCallConnections = 2;
constexpr std::size_t kVerifyConnections = 1;
// The minimum times that an access cache keeps an answer. A stream that becomes private gives no tokens within 5 s.
constexpr std::chrono::seconds kHeartbeatAccessAge{10};
constexpr std::chrono::seconds kTokenAccessAge{2};
constexpr std::size_t kAccessEntries = 10'000;
// Statements of reads and of catch-ups that may wait: thousands of readers may connect at the same time.
constexpr std::size_t kMaxReads = 8192;

std::string hs256_secret(const config::Settings& settings) {
  const std::string& file = settings.session.hs256_secret_file;
  return file.empty() ? std::string() : core::token::read_secret_file("session.hs256_secret_file", file);
}

std::string ticket_secret(const config::Settings& settings) {
  const std::string& file = settings.session.ticket_secret_file;
  return file.empty() ? hs256_secret(settings) : core::token::read_signing_secret("session.ticket_secret_file", file);
}

Secret webhook_secret(const config::Settings& settings) {
  const config::Settings::Switching& own = settings.switching;
  if (own.webhook_url.empty()) return {};
  return Secret("switching.webhook_secret_file", own.webhook_secret_file, client::webhook::read_webhook_secrets);
}

}  // namespace

Sidecar::Sidecar(asio::io_context& context, const config::Settings& settings)
    : context_(context),
      settings_(settings),
      memory_(context.get_executor(), metrics_, settings.memory.max_bytes),
      sessions_(hs256_secret(settings), settings.session),
      tickets_(ticket_secret(settings)),
      token_makers_(make_token_makers(settings)),
      webhook_secret_(webhook_secret(settings)),
      redis_(context.get_executor(), message::gate_redis_options(settings.gate)),
      gate_(redis_, metrics_, settings.gate),
      gate_health_(context.get_executor(), redis_, gate_),
      reads_(context.get_executor(), {settings.postgres.dsn, "reads", settings.postgres.timeout, kMaxReads},
             kReadConnections),
      catch_ups_(context.get_executor(), {settings.postgres.dsn, "catch-ups", settings.postgres.timeout, kMaxReads},
                 kCatchUpConnections),
      caches_(context.get_executor(), {settings.postgres.dsn, "caches", settings.postgres.timeout}, kCacheConnections),
      calls_(context.get_executor(), {settings.postgres.dsn, "calls", settings.postgres.timeout}, kCallConnections),
      verifies_(context.get_executor(), {settings.postgres.dsn, "verify", settings.postgres.timeout},
                kVerifyConnections),
      limits_source_(caches_),
      limits_(context.get_executor(), limits_source_, settings.gate.role_cache),
      cells_(context.get_executor(), caches_),
      history_(context.get_executor(), reads_),
      catch_up_history_(context.get_executor(), catch_ups_),
      states_(context.get_executor(), memory_,
              [this](std::string_view stream_id) { return history_.state(stream_id); }),
      hub_(context.get_executor(), transport::Channel::everyone, catch_up_history_, metrics_, memory_, settings.sse),
      vip_hub_(context.get_executor(), transport::Channel::all_messages, catch_up_history_, metrics_, memory_,
               settings.sse),
      reader_access_(caches_),
      access_checks_(context.get_executor(), reader_access_, {&hub_, &vip_hub_}),
      notices_(context.get_executor(),
               {.dsn = settings.relay.dsn, .timeout = settings.postgres.timeout, .poll = settings.relay.poll},
               {&hub_, &vip_hub_}, access_checks_),
      routing_(context.get_executor(), caches_, settings.delivery),
      endpoint_(make_endpoint()),
      deliveries_(make_deliveries()),
      relay_(context.get_executor(), settings.relay, settings.postgres.timeout,
             {.metrics = metrics_,
              .transports = transports(),
              .observer =
                  [this](std::span<const transport::FramePtr> frames) {
                    states_.observe(frames);
                    sampling_.observe(frames);
                    followers_.observe(frames);
                  },
              .on_retained = [this](const transport::Frame& frame) { states_.note_retained(frame); },
              .on_log = [this] { states_.begin_log(); }}),
      sampling_(context.get_executor(), settings.sampling,
                {.dsn = settings.relay.dsn,
                 .timeout = settings.postgres.timeout,
                 .metrics = metrics_,
                 .leads = [this] { return relay_.leads(); },
                 .on_sent = [this] { relay_.wake(); }}),
      switching_(context.get_executor(), settings.switching, switching_parts()),
      token_revocation_(make_token_revocation()),
      webhooks_(make_webhooks()),
      maintenance_(context.get_executor(), settings.relay.dsn),
      health_(context.get_executor(), settings.postgres.dsn, settings.postgres.timeout, metrics_),
      admission_(context.get_executor(), settings.admission, settings.postgres,
                 {.metrics = metrics_, .on_commit = [this] { relay_.wake(); }}),
      audience_redis_(context.get_executor(), audience_redis_options()),
      heartbeats_(context.get_executor(), audience_redis_, metrics_, settings.audience, settings.gate.timeout),
      hls_(context.get_executor(), audience_redis_, settings.audience.window, settings.gate.timeout),
      followers_(context.get_executor(), audience_redis_, settings.audience.window, settings.gate.timeout,
                 [this] { return streams_with_readers(); }),
      livekit_(leader::viewers::make_livekit(context.get_executor(), settings)),
      viewer_counts_(context.get_executor(), settings.audience,
                     {.dsn = settings.postgres.dsn,
                      .timeout = settings.postgres.timeout,
                      .metrics = metrics_,
                      .webrtc = livekit_.get(),
                      .hls = &hls_,
                      .followers = followers_,
                      .leads = [this] { return relay_.leads(); },
                      .on_counted = [this](auto counts) { stream_viewers_.replace(std::move(counts)); },
                      .on_published = [this] { relay_.wake(); }}),
      heartbeat_access_(history_, kHeartbeatAccessAge, kAccessEntries),
      token_access_(history_, kTokenAccessAge, kAccessEntries),
      regions_(context.get_executor(), metrics_, settings.regions),
      callers_(sessions_, tickets_),
      router_(make_router()),
      server_(context.get_executor(),
              {.router = router_,
               .memory = memory_,
               .connections = metrics_.http_connections,
               .upgraded = [this] { return hub_.size() + vip_hub_.size(); }},
              {.listen = settings.http.listen,
               .max_body_bytes = settings.http.max_body_bytes,
               .max_header_bytes = settings.http.max_header_bytes,
               .max_connections = settings.http.max_connections,
               .max_pipelined = settings.http.max_pipelined,
               .read_timeout = settings.http.read_timeout,
               .keep_alive = settings.http.keep_alive,
               .ack_timeout = settings.http.ack_timeout,
               .cors_origins = settings.http.cors_origins,
               .cors_headers = settings.http.cors_headers}),
      lame_duck_ended_(context.get_executor()) {
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
  parts_.add([this] { gate_health_.start(); }, [this] { gate_health_.stop(); });
  parts_.add([this] { audience_redis_.start(); }, [this] { audience_redis_.stop(); });
  parts_.add(
      [this] {
        // limits_ and cells_ read their tables as soon as Postgres answers for the first time.
        caches_.on_connect = [this] {
          if (std::exchange(caches_started_, true)) return;
          limits_.start();
          cells_.start();
        };
        reads_.start();
        catch_ups_.start();
        caches_.start();
        calls_.start();
        verifies_.start();
      },
      [this] {
        limits_.stop();
        cells_.stop();
        verifies_.stop();
        calls_.stop();
        caches_.stop();
        catch_ups_.stop();
        reads_.stop();
      });
  // SQL sends while the process shuts down, to the end. Other sidecars, or the next one, relay these messages.
  if (gate_socket_) {
    parts_.add([this] { gate_socket_->start(); },
               [this](Clock::time_point deadline) -> asio::awaitable<void> {
                 gate_socket_->stop();
                 co_await gate_socket_->wait_closed(deadline);
               });
  }
  parts_.add([this] { admission_.start(); },
             [this](Clock::time_point deadline) -> asio::awaitable<void> {
               const bool idle = co_await admission_.wait_idle(deadline);
               if (!idle) all_answered_ = false;
               admission_.stop();
             });
  parts_.add(
      [this] {
        access_checks_.start();
        notices_.start();
      },
      [this] {
        notices_.stop();
        access_checks_.stop();
        hub_.close();
        vip_hub_.close();
      });
  parts_.add([this] { routing_.start(); }, [this] { routing_.stop(); });
  if (endpoint_) {
    parts_.add([] {}, [this] { endpoint_->stop(); });
  }
  for (const auto& delivery : deliveries_) {
    parts_.add([&delivery = *delivery] { delivery.start(); },
               [&delivery = *delivery](Clock::time_point deadline) { return delivery.finish(deadline); });
  }
  parts_.add([this] { relay_.start(); }, [this](Clock::time_point deadline) { return relay_.finish(deadline); });
  parts_.add([this] { followers_.start(); }, [this] { followers_.stop(); });
  parts_.add([this] { viewer_counts_.start(); }, [this] { viewer_counts_.stop(); });
  parts_.add([this] { sampling_.start(); }, [this] { sampling_.stop(); });
  parts_.add([this] { switching_.start(); }, [this] { switching_.stop(); });
  if (token_revocation_) {
    parts_.add([this] { token_revocation_->start(); }, [this] { token_revocation_->stop(); });
  }
  if (webhooks_) {
    parts_.add([this] { webhooks_->start(); },
               [this](Clock::time_point deadline) { return webhooks_->finish(deadline); });
  }
  parts_.add([this] { maintenance_.start(); }, [this] { maintenance_.stop(); });
  parts_.add([this] { health_.start(); }, [this] { health_.stop(); });
  parts_.add([this] { regions_.start(); }, [this] { regions_.stop(); });
  parts_.add([this] { server_.start(); },
             [this](Clock::time_point deadline) -> asio::awaitable<void> {
               server_.shut_down();
               hub_.end_waits();
               vip_hub_.end_waits();
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

void Sidecar::reload(const config::Settings& fresh) {
  const std::string tickets = ticket_secret(fresh);
  transport::TokenMakers makers = make_token_makers(settings_);
  sessions_.replace(hs256_secret(fresh), fresh.session);
  tickets_.replace(tickets);
  token_makers_ = std::move(makers);
  webhook_secret_.read_again(webhook_secret_.text());
  switching_.resume_webhook();
  if (token_revocation_) token_revocation_->read_key_again();
  if (endpoint_) endpoint_->resume();
  if (webhooks_) webhooks_->resume();
}

asio::awaitable<void> Sidecar::shut_down() {
  shutting_down_ = true;
  log::write(log::Level::info, log::tag::kLifecycle, "shutting down");
  if (settings_.lame_duck.count() > 0) {
    co_await lame_duck_ended_.wait_for(settings_.lame_duck);
  }
  co_await parts_.stop(Clock::now() + settings_.drain_timeout);
  log::write(all_answered_ ? log::Level::info : log::Level::warn, log::tag::kLifecycle,
             all_answered_ ? "stopped" : "stopped with unanswered requests, because drain_timeout has passed");
}

void Sidecar::end_lame_duck() { lame_duck_ended_.set(); }

std::vector<std::unique_ptr<transport::outside::Delivery>> Sidecar::make_deliveries() {
  std::vector<std::unique_ptr<transport::outside::Delivery>> deliveries;
  // The last part that stops, so that a backend that does not answer takes no time from the others.
  if (endpoint_ && std::ranges::count(settings_.webhooks.events, transport::webhooks::kMessageSent) > 0) {
    transport::outside::RegisteredAdapter adapter{transport::webhooks::kName, transport::Channel::all_messages,
                                                  transport::webhooks::make_message_sent(*endpoint_)};
    deliveries.push_back(std::make_unique<transport::outside::Delivery>(
        context_.get_executor(), metrics_, stream_viewers_, routing_, std::move(adapter), settings_));
  }
  for (auto& adapter : make_adapters(context_.get_executor(), settings_)) {
    deliveries.push_back(std::make_unique<transport::outside::Delivery>(
        context_.get_executor(), metrics_, stream_viewers_, routing_, std::move(adapter), settings_));
  }
  return deliveries;
}

std::vector<transport::Transport*> Sidecar::transports() {
  std::vector<transport::Transport*> all{&hub_, &vip_hub_};
  for (const auto& delivery : deliveries_) all.push_back(delivery.get());
  return all;
}

std::vector<std::string> Sidecar::streams_with_readers() const {
  std::vector<std::string> streams = hub_.streams_with_readers();
  for (std::string& stream : vip_hub_.streams_with_readers()) streams.push_back(std::move(stream));
  return streams;
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
          .needs_token = [this](std::string_view transport) { return token_makers_.contains(transport); },
          .readers_per_second = [this](std::string_view transport) { return readers_per_second(settings_, transport); },
          .webhook = make_webhook()};
}

std::unique_ptr<client::webhook::Webhook> Sidecar::make_webhook() const {
  const auto& own = settings_.switching;
  if (own.webhook_url.empty()) return nullptr;
  return std::make_unique<client::webhook::Webhook>(
      context_.get_executor(), client::webhook::Webhook::Options{
                                   .url = own.webhook_url, .secret = webhook_secret_, .ca_file = own.webhook_ca_file});
}

std::unique_ptr<leader::TokenRevocation> Sidecar::make_token_revocation() {
  auto revoker = make_token_revoker(context_.get_executor(), settings_);
  if (!revoker) return nullptr;
  return std::make_unique<leader::TokenRevocation>(
      context_.get_executor(), leader::TokenRevocation::Parts{.dsn = settings_.relay.dsn,
                                                              .timeout = settings_.postgres.timeout,
                                                              .metrics = metrics_,
                                                              .leads = [this] { return relay_.leads(); },
                                                              .revoker = std::move(revoker)});
}

// Returns the options of the second connection to the gate's Redis. Viewers are counted over it, so that the checks of
// the gate never wait behind commands that count viewers.
redis::Options Sidecar::audience_redis_options() const {
  redis::Options options = redis_.options();
  options.log_tag = log::tag::kAudience;
  return options;
}

std::vector<api::ReadinessCheck> Sidecar::readiness() {
  std::vector<api::ReadinessCheck> checks{
      {"sealcastd", [this] { return shutting_down_ ? std::string("sealcastd is shutting down") : std::string(); }},
      {"postgres", [this] { return admission_.problem(); }},
      {"limits", [this] { return limits_.loaded() ? std::string() : "message types were not read yet"; }},
      {"cells", [this] { return cells_.loaded() ? std::string() : "the cells were not read yet"; }},
      {"redis", [this] { return gate_health_.problem(); }},
      {"relay", [this] { return relay_.listening() ? std::string() : "not listening"; }},
      {"maintenance",
       [this] { return maintenance_.done() ? std::string() : "sealcast.maintain() did not succeed yet"; }},
      {"writable", [this] { return health_.read_only_problem(); }},
      {"partitions", [this] { return health_.partitions_problem(); }},
      {"transports", [this] { return health_.transports_problem(); }, false},
  };
  if (endpoint_) checks.push_back({"webhook", [this] { return endpoint_->problem(); }, false});
  return checks;
}

}  // namespace sealcast::app
