// The sidecar's parts, in the order in which a message meets them; they start together, and drain when told to stop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "api/api.h"
#include "app/transports.h"
#include "base/asio.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "http/server.h"
#include "leader/maintenance.h"
#include "leader/sampling/storm.h"
#include "leader/switching/switching.h"
#include "leader/viewers/audience.h"
#include "leader/viewers/heartbeats.h"
#include "leader/viewers/hls.h"
#include "message/access_cache.h"
#include "message/admission.h"
#include "message/cells.h"
#include "message/gate_socket.h"
#include "message/history.h"
#include "message/limits.h"
#include "message/limits_source.h"
#include "message/redis_gate.h"
#include "message/relay.h"
#include "message/session.h"
#include "message/ticket.h"
#include "regions/regions.h"
#include "transport/outside/delivery.h"
#include "transport/sse/hub.h"

namespace sealcast {

class Sidecar {
 public:
  // `settings` outlives this. Throws SettingsError, naming the key and the mend, when they can't be worked with.
  Sidecar(asio::io_context& context, const Settings& settings);

  void start();
  // Answers what was asked, relays what was committed, tells the readers when to come back.
  asio::awaitable<void> drain();

 private:
  asio::awaitable<void> pause();
  sse::HubSettings hub_settings(Channel channel) const;
  std::vector<std::unique_ptr<Delivery>> make_deliveries();
  std::vector<Transport*> transports();
  SwitchingSettings switching_settings() const;
  Switching::Parts switching_parts();
  std::unique_ptr<Webhook> make_webhook() const;
  redis::Options audience_redis_options() const;
  std::vector<rpc::ReadinessCheck> readiness();

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

}  // namespace sealcast
