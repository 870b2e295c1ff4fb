// POST /streams/{id}/heartbeat: counts the caller as a viewer of the stream.
#include <memory>

#include "api/address_rate.h"
#include "api/caller.h"
#include "api/heartbeat_body.h"
#include "api/routes.h"
#include "api/stream_access.h"
#include "leader/viewers/followers.h"
#include "leader/viewers/heartbeats.h"
#include "message/access_cache.h"

namespace sealcast::api {

namespace {

constexpr std::chrono::seconds kRetryAfter{1};
constexpr std::string_view kContinue = "Continue to send heartbeats.";

struct Heartbeat {
  Callers& callers;
  const message::Cells& cells;
  message::AccessCache& access_cache;
  leader::viewers::Heartbeats& heartbeats;
  leader::viewers::Followers& followers;
  AddressRate addresses;
  HeartbeatBodyParser bodies{};

  asio::awaitable<void> answer(http::Exchange& exchange, std::string_view id);
  std::optional<std::string> viewer(const http::Request& request, const std::string& user_id, http::Response& response);
};

asio::awaitable<void> Heartbeat::answer(http::Exchange& exchange, std::string_view id) {
  http::Response& response = exchange.response;
  const std::string stream_id = stream_of_path(id, cells, exchange);
  if (stream_id.empty()) co_return;
  const auto caller = callers.reader(exchange, stream_id);
  if (!caller) co_return;
  const auto viewer_key = viewer(exchange.request, caller->user_id, response);
  if (!viewer_key) co_return;
  if (caller->user_id.empty() && !addresses.allows(exchange.request)) {
    http::answer_problem(response, {429,
                                    "rate_limited",
                                    "too many heartbeats without a session from your address",
                                    {},
                                    "Send heartbeats with a session, or fewer of them.",
                                    kRetryAfter});
    co_return;
  }
  if (!co_await readable_stream(exchange, caller->user_id, access_cache.access(stream_id, caller->user_id))) co_return;
  switch (co_await heartbeats.add(stream_id, *viewer_key)) {
    case leader::viewers::HeartbeatOutcome::counted:
      if (!caller->user_id.empty()) followers.add(stream_id);
      response.status = 204;
      break;
    case leader::viewers::HeartbeatOutcome::unavailable:
      http::answer_problem(response, {503, "audience_unavailable", "viewers cannot be counted now",
                                      "Redis does not answer.", kContinue, kRetryAfter});
      break;
    case leader::viewers::HeartbeatOutcome::overloaded:
      http::answer_problem(response,
                           {503, "overloaded", "too many heartbeats are waiting", {}, kContinue, kRetryAfter});
      break;
  }
}

// Returns the key under which the viewer is counted, or nullopt after answering 400. The key of a known user is made
// from the user's id, so a user with several devices is one viewer. The key of an anonymous viewer is made from
// viewer_id. The prefixes "u" and "v" differ, so a viewer_id that equals the id of a user counts as another viewer.
std::optional<std::string> Heartbeat::viewer(const http::Request& request, const std::string& user_id,
                                             http::Response& response) {
  std::string viewer_id;
  if (!bodies.parse(request.body, viewer_id, response)) return std::nullopt;
  if (!user_id.empty()) return "u" + user_id;
  if (!viewer_id.empty()) return "v" + viewer_id;
  http::answer_problem(response, {400, "invalid_request", "the heartbeat names no viewer",
                                  "it has neither a viewer_id nor a session", HeartbeatBodyParser::kHint});
  return std::nullopt;
}

}  // namespace

http::Handler heartbeat(Callers& callers, const message::Cells& cells, message::AccessCache& access_cache,
                        leader::viewers::Heartbeats& heartbeats, leader::viewers::Followers& followers,
                        AddressRate addresses) {
  auto route = std::make_shared<Heartbeat>(Heartbeat{.callers = callers,
                                                     .cells = cells,
                                                     .access_cache = access_cache,
                                                     .heartbeats = heartbeats,
                                                     .followers = followers,
                                                     .addresses = std::move(addresses)});
  return [route](http::Exchange& exchange, std::string_view id) { return route->answer(exchange, id); };
}

}  // namespace sealcast::api
