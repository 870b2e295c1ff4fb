// The process `sealcastd`: the class that has every part of the sidecar and connects the parts.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "api/caller.h"
#include "api/routes.h"
#include "app/parts.h"
#include "app/transports.h"
#include "base/asio.h"
#include "base/event.h"
#include "base/memory_budget.h"
#include "base/metrics.h"
#include "base/secret.h"
#include "client/webhook/endpoint.h"
#include "config/settings.h"
#include "http/server.h"
#include "leader/health.h"
#include "leader/maintenance.h"
#include "leader/sampling/storm_sampling.h"
#include "leader/switching/switching.h"
#include "leader/token_revocation.h"
#include "leader/viewers/count_publisher.h"
#include "leader/viewers/followers.h"
#include "leader/viewers/heartbeat_viewers.h"
#include "leader/viewers/heartbeats.h"
#include "leader/webhooks/event_queue.h"
#include "message/access_cache.h"
#include "message/admission.h"
#include "message/cells.h"
#include "message/gate_health.h"
#include "message/gate_socket.h"
#include "message/history.h"
#include "message/limits.h"
#include "message/limits_source.h"
#include "message/reader_rights.h"
#include "message/redis_gate.h"
#include "message/relay.h"
#include "message/session.h"
#include "message/stream_states.h"
#include "message/ticket.h"
#include "regions/regions.h"
#include "transport/outside/delivery.h"
#include "transport/sse/access_checks.h"
#include "transport/sse/hub.h"
#include "transport/sse/notices.h"
#include "transport/stream_viewers.h"

namespace sealcast::app {

class Sidecar {
 public:
  // `settings` must stay valid as long as this object. Throws a SettingsError that names the setting and the fix.
  Sidecar(asio::io_context& context, const config::Settings& settings);

  void start();
  // Takes the session secrets and key sets of new settings, and reads their files again. Reads the secrets of reader
  // tokens and of the webhooks again. Throws as the constructor does; then nothing has changed.
  void reload(const config::Settings& fresh);
  // Serves for `lame_duck` while it is not ready. Then answers the requests that have arrived, relays and delivers
  // every committed message, and tells SSE readers when to reconnect. After `drain_timeout` it stops all parts, even if
  // requests or deliveries are not finished.
  asio::awaitable<void> shut_down();
  void end_lame_duck();  // makes shut_down() go on at once

 private:
  using Clock = Parts::Clock;

  void add_parts();
  std::vector<std::unique_ptr<transport::outside::Delivery>> make_deliveries();
  std::vector<transport::Transport*> transports();
  std::vector<std::string> streams_with_readers() const;
  leader::switching::Switching::Parts switching_parts();
  std::unique_ptr<client::webhook::Webhook> make_webhook() const;
  std::unique_ptr<leader::TokenRevocation> make_token_revocation();
  std::unique_ptr<client::webhook::Endpoint> make_endpoint() const;
  std::unique_ptr<leader::webhooks::EventQueue> make_webhooks();
  redis::Options audience_redis_options() const;
  std::vector<api::ReadinessCheck> readiness();
  http::Router make_router();  // in route_table.cpp

  asio::io_context& context_;
  const config::Settings& settings_;
  Metrics metrics_;
  MemoryBudget memory_;
  message::SessionVerifier sessions_;
  message::TicketIssuer tickets_;
  transport::TokenMakers token_makers_;
  Secret webhook_secret_;
  redis::Client redis_;
  message::RedisGate gate_;
  message::GateHealth gate_health_;
  postgres::Pool reads_;
  postgres::Pool catch_ups_;
  postgres::Pool caches_;
  postgres::Pool calls_;
  postgres::Pool verifies_;
  message::PostgresLimits limits_source_;
  message::Limits limits_;
  std::optional<message::GateSocket> gate_socket_;
  message::Cells cells_;
  message::History history_;
  message::History catch_up_history_;
  message::StreamStates states_;
  transport::sse::Hub hub_;
  transport::sse::Hub vip_hub_;
  message::PostgresReaderAccess reader_access_;
  transport::sse::AccessChecks access_checks_;
  transport::sse::Notices notices_;
  transport::outside::Routing routing_;
  transport::StreamViewers stream_viewers_;
  std::unique_ptr<client::webhook::Endpoint> endpoint_;  // null: the settings have no webhook for events
  std::vector<std::unique_ptr<transport::outside::Delivery>> deliveries_;
  message::Relay relay_;
  leader::sampling::StormSampling sampling_;
  leader::switching::Switching switching_;
  std::unique_ptr<leader::TokenRevocation> token_revocation_;  // null: no outside service can revoke tokens
  std::unique_ptr<leader::webhooks::EventQueue> webhooks_;     // null as endpoint_
  leader::Maintenance maintenance_;
  leader::Health health_;
  message::Admission admission_;
  redis::Client audience_redis_;
  leader::viewers::Heartbeats heartbeats_;
  leader::viewers::HeartbeatViewers hls_;
  leader::viewers::Followers followers_;
  std::unique_ptr<leader::viewers::ViewerSource> livekit_;
  leader::viewers::CountPublisher viewer_counts_;
  message::AccessCache heartbeat_access_;
  message::AccessCache token_access_;
  regions::Regions regions_;
  api::Callers callers_;
  http::Router router_;
  http::Server server_;
  Parts parts_;
  bool caches_started_ = false;
  bool shutting_down_ = false;
  Event lame_duck_ended_;
  bool all_answered_ = true;
};

}  // namespace sealcast::app
