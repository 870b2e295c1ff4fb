// The routes of the sidecar (docs/openapi.json) and what they work with.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/heartbeat_body.h"
#include "api/public_keys.h"
#include "api/send_body.h"
#include "api/token_body.h"
#include "base/asio.h"
#include "base/metrics.h"
#include "client/postgres/pool.h"
#include "http/client_address.h"
#include "http/exchange.h"
#include "http/router.h"
#include "http/static_files.h"
#include "leader/viewers/heartbeats.h"
#include "message/access_cache.h"
#include "message/admission.h"
#include "message/cells.h"
#include "message/gate.h"
#include "message/history.h"
#include "message/limits.h"
#include "message/session.h"
#include "message/ticket.h"
#include "regions/regions.h"
#include "transport/sse/hub.h"
#include "transport/tokens.h"

namespace sealcast::api {

// One thing that /readyz looks at: empty when it works, else what is wrong.
struct ReadinessCheck {
  std::string name;
  std::function<std::string()> problem;
};

// All outlive the Api.
struct ApiParts {
  message::SessionVerifier& sessions;
  message::TicketIssuer& tickets;
  std::chrono::seconds ticket_ttl;
  const transport::TokenMakers& token_makers;
  std::chrono::seconds transport_token_ttl;
  message::Limits& limits;
  const message::Cells& cells;
  message::Gate& gate;
  message::Admission& admission;
  postgres::Pool& pool;
  message::History& history;
  message::AccessCache& readers;
  leader::viewers::Heartbeats& heartbeats;
  transport::sse::Hub& hub;
  transport::sse::Hub& vip_hub;
  regions::Regions& regions;
  Metrics& metrics;
  http::TrustedProxies proxies;
  std::vector<ReadinessCheck> readiness;
  std::optional<http::StaticFiles> demo;  // none: no demo room
};

class Api {
 public:
  explicit Api(ApiParts parts) : parts_(std::move(parts)) {}
  http::Router router();

 private:
  using Done = asio::awaitable<void>;

  // POST /rpc/…
  Done send_message(http::Exchange& exchange);
  Done verify(http::Exchange& exchange);
  // Functions of SQL for the session's user.
  Done call(http::Exchange& exchange, std::string_view function);

  // /streams/{id}/…
  Done events(http::Exchange& exchange, std::string_view id);
  Done messages(http::Exchange& exchange, std::string_view id);
  Done token(http::Exchange& exchange, std::string_view id);
  Done ticket(http::Exchange& exchange, const std::string& stream_id);
  Done transport_token(http::Exchange& exchange, const std::string& stream_id);
  Done heartbeat(http::Exchange& exchange, std::string_view id);

  Done regions(http::Exchange& exchange);
  Done public_keys(http::Exchange& exchange);

  // The process itself
  Done health(http::Exchange& exchange);
  Done readiness(http::Exchange& exchange);
  Done metrics(http::Exchange& exchange);
  Done openapi(http::Exchange& exchange);
  Done demo(http::Exchange& exchange);

  // Counts a session or ticket that was refused; the log gets one line a second at most.
  void note_refused(std::string_view what);

  // Whether the stream is in this cell. False: the response says 421, and where it is; or 503 when nobody knows yet.
  bool is_here(const std::string& stream_id, http::Exchange& exchange);
  // The stream's id in lower case; empty when it is no UUID or not here, and the response says so.
  std::string own_stream(http::Exchange& exchange, std::string_view id);
  // Who asks. Nullopt: the response says 401.
  std::optional<message::Session> session(http::Exchange& exchange);
  // Like session(), but nobody (an empty user_id) may ask too, and a ticket for the stream in ?access_token= will do.
  std::optional<message::Session> reader(http::Exchange& exchange, const std::string& stream_id);
  // Whether `user_id` may read the stream, as `asked` will tell. Nullopt: the response says 404, 401 with `way_in` as
  // its hint, 403 or 503.
  static constexpr std::string_view kWaysIn =
      "Send Authorization: Bearer, or ?access_token= from POST /streams/{id}/token.";
  asio::awaitable<std::optional<message::StreamAccess>> access(http::Exchange& exchange, const std::string& user_id,
                                                               asio::awaitable<message::StreamAccess> asked,
                                                               std::string_view way_in = kWaysIn);
  // False: the response says 403.
  static bool allows_vip(const message::StreamAccess& stream, http::Response& response);
  void answer_no_tokens(std::string_view transport, http::Response& response);
  // ?channel= of a request; `otherwise` when it says nothing. Nullopt: the response says 400.
  static std::optional<transport::Channel> channel_of(const http::Request& request, transport::Channel otherwise,
                                                      http::Response& response);
  // What tells the viewer apart. Nullopt: the response says 400.
  std::optional<std::string> viewer(const http::Request& request, const std::string& user_id, http::Response& response);
  bool fits(const SendBody& body, http::Response& response);
  void answer(const message::Verdict& verdict, http::Exchange& exchange);

  ApiParts parts_;
  PublicKeys public_keys_{parts_.pool};
  SendBodyParser send_bodies_;
  HeartbeatBodyParser heartbeat_bodies_;
  TokenBodyParser token_bodies_;
  std::int64_t refused_ = 0;  // since the last line of the log
  std::int64_t refused_logged_at_ = 0;
};

}  // namespace sealcast::api
