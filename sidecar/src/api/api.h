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

namespace sealcast::rpc {

// One thing that /readyz looks at: empty when it works, else what is wrong.
struct ReadinessCheck {
  std::string name;
  std::function<std::string()> problem;
};

// All outlive the Api.
struct ApiParts {
  SessionVerifier& sessions;
  TicketIssuer& tickets;
  std::chrono::seconds ticket_ttl;
  const TokenMakers& token_makers;
  std::chrono::seconds transport_token_ttl;
  Limits& limits;
  const Cells& cells;
  Gate& gate;
  Admission& admission;
  pg::Pool& pool;
  History& history;
  AccessCache& readers;
  Heartbeats& heartbeats;
  sse::Hub& hub;
  sse::Hub& vip_hub;
  Regions& regions;
  Metrics& metrics;
  TrustedProxies proxies;
  std::vector<ReadinessCheck> readiness;
  std::optional<StaticFiles> demo;  // none: no demo room
};

class Api {
 public:
  explicit Api(ApiParts parts) : parts_(std::move(parts)) {}
  Router router();

 private:
  using Done = asio::awaitable<void>;

  // POST /rpc/…
  Done send_message(Exchange& exchange);
  Done verify(Exchange& exchange);
  // Functions of SQL for the session's user.
  Done call(Exchange& exchange, std::string_view function);

  // /streams/{id}/…
  Done events(Exchange& exchange, std::string_view id);
  Done messages(Exchange& exchange, std::string_view id);
  Done token(Exchange& exchange, std::string_view id);
  Done ticket(Exchange& exchange, const std::string& stream_id);
  Done transport_token(Exchange& exchange, const std::string& stream_id);
  Done heartbeat(Exchange& exchange, std::string_view id);

  Done regions(Exchange& exchange);
  Done public_keys(Exchange& exchange);

  // The process itself
  Done health(Exchange& exchange);
  Done readiness(Exchange& exchange);
  Done metrics(Exchange& exchange);
  Done openapi(Exchange& exchange);
  Done demo(Exchange& exchange);

  // Counts a session or ticket that was refused; the log gets one line a second at most.
  void note_refused(std::string_view what);

  // Whether the stream is in this cell. False: the response says 421, and where it is; or 503 when nobody knows yet.
  bool is_here(const std::string& stream_id, Exchange& exchange);
  // The stream's id in lower case; empty when it is no UUID or not here, and the response says so.
  std::string own_stream(Exchange& exchange, std::string_view id);
  // Who asks. Nullopt: the response says 401.
  std::optional<Session> session(Exchange& exchange);
  // Like session(), but nobody (an empty user_id) may ask too, and a ticket for the stream in ?access_token= will do.
  std::optional<Session> reader(Exchange& exchange, const std::string& stream_id);
  // Whether `user_id` may read the stream, as `asked` will tell. Nullopt: the response says 404, 401 with `way_in` as
  // its hint, 403 or 503.
  static constexpr std::string_view kWaysIn =
      "Send Authorization: Bearer, or ?access_token= from POST /streams/{id}/token.";
  asio::awaitable<std::optional<StreamAccess>> access(Exchange& exchange, const std::string& user_id,
                                                      asio::awaitable<StreamAccess> asked,
                                                      std::string_view way_in = kWaysIn);
  // False: the response says 403.
  static bool allows_vip(const StreamAccess& stream, Response& response);
  void answer_no_tokens(std::string_view transport, Response& response);
  // ?channel= of a request; `otherwise` when it says nothing. Nullopt: the response says 400.
  static std::optional<Channel> channel_of(const Request& request, Channel otherwise, Response& response);
  // What tells the viewer apart. Nullopt: the response says 400.
  std::optional<std::string> viewer(const Request& request, const std::string& user_id, Response& response);
  bool fits(const SendBody& body, Response& response);
  void answer(const Verdict& verdict, Exchange& exchange);

  ApiParts parts_;
  PublicKeys public_keys_{parts_.pool};
  SendBodyParser send_bodies_;
  HeartbeatBodyParser heartbeat_bodies_;
  TokenBodyParser token_bodies_;
  std::int64_t refused_ = 0;  // since the last line of the log
  std::int64_t refused_logged_at_ = 0;
};

}  // namespace sealcast::rpc
