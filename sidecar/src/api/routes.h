// Functions that make the handlers of all routes (docs/http.md). app/route_table.cpp assigns the handlers to paths.
//
// Each function gets the objects that its handler uses. These objects must stay valid as long as the handler.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/address_rate.h"
#include "client/names.h"
#include "http/client_address.h"
#include "http/router.h"
#include "http/static_files.h"
#include "transport/tokens.h"

namespace sealcast {
class Metrics;
namespace client::postgres {
class Pool;
}
namespace leader::viewers {
class Followers;
class Heartbeats;
}  // namespace leader::viewers
namespace message {
class AccessCache;
class Admission;
class Cells;
class Gate;
class History;
class Limits;
class StreamStates;
class TicketIssuer;
}  // namespace message
namespace regions {
class Regions;
}
namespace transport::sse {
class Hub;
}
}  // namespace sealcast

namespace sealcast::api {

class Callers;

// POST /rpc/send_message
http::Handler send_message(Callers& callers, const message::Cells& cells, message::Limits& limits, message::Gate& gate,
                           message::Admission& admission, Metrics& metrics);

// POST /rpc/verify
http::Handler verify(postgres::Pool& pool, const message::Limits& limits);

// POST /rpc/{function}. `function` is the name of a SQL function, for example mute, that sealcast_internal.call_as()
// calls for the session's user. The text must stay valid as long as the handler.
http::Handler moderation(std::string_view function, Callers& callers, message::Gate& gate, postgres::Pool& pool);

// GET /streams/{id}/reports, GET /streams/{id}/moderation_log. `function` is as above; its arguments are the stream and
// those of the query parameters `parameters` that the request has.
http::Handler moderation_page(std::string_view function, std::vector<std::string_view> parameters, Callers& callers,
                              const message::Cells& cells, message::Gate& gate, postgres::Pool& pool);

// GET /streams/{id}/events. The public channel is read from `hub`, the vip channel from `vip_hub`.
http::Handler events(Callers& callers, const message::Cells& cells, message::History& history,
                     message::StreamStates& states, transport::sse::Hub& hub, transport::sse::Hub& vip_hub);

// GET /streams/{id}/messages
http::Handler messages(Callers& callers, const message::Cells& cells, message::History& history);

// GET /streams/{id}/state
http::Handler stream_state(Callers& callers, const message::Cells& cells, message::History& history,
                           message::StreamStates& states);

// GET /streams/{id}/rules
http::Handler stream_rules(Callers& callers, const message::Cells& cells, message::History& history,
                           postgres::Pool& pool);

// GET /streams/{id}/notices
http::Handler notices(Callers& callers, const message::Cells& cells, message::History& history);

// POST /streams/{id}/token
struct TokenLifetimes {
  std::chrono::seconds ticket;
  std::chrono::seconds transport_token;
};
http::Handler token(Callers& callers, const message::Cells& cells, message::History& history,
                    message::AccessCache& access_cache, const message::TicketIssuer& tickets,
                    const transport::TokenMakers& makers, TokenLifetimes lifetimes);

// POST /streams/{id}/heartbeat
http::Handler heartbeat(Callers& callers, const message::Cells& cells, message::AccessCache& access_cache,
                        leader::viewers::Heartbeats& heartbeats, leader::viewers::Followers& followers,
                        AddressRate addresses);

// GET /regions
http::Handler regions(const regions::Regions& regions, http::TrustedProxies proxies);

// GET /.well-known/sealcast-keys
http::Handler public_keys(postgres::Pool& pool);

// GET /healthz, GET /metrics, GET /openapi.json
http::Handler health();
http::Handler metrics(const Metrics& metrics);
http::Handler openapi();

// GET /readyz
struct ReadinessCheck {
  std::string name;
  std::function<std::string()> problem;  // returns an empty string while the part works
  bool required = true;  // false: /readyz names the problem, but the sidecar is ready, because it can serve requests
};
http::Handler readiness(std::vector<ReadinessCheck> checks);

// GET requests for all other paths: answers with the files of the demo room.
http::Handler demo(http::StaticFiles files);

}  // namespace sealcast::api
