// POST /streams/{id}/heartbeat.
#include "api/api.h"
#include "base/asio.h"

namespace sealcast::api {

namespace {

constexpr std::chrono::seconds kRetry{1};

}  // namespace

asio::awaitable<void> Api::heartbeat(http::Exchange& exchange, std::string_view id) {
  http::Response& response = exchange.response;
  const std::string stream_id = own_stream(exchange, id);
  if (stream_id.empty()) co_return;
  const auto who = reader(exchange, stream_id);
  if (!who) co_return;
  const auto viewer = this->viewer(exchange.request, who->user_id, response);
  if (!viewer) co_return;
  if (!co_await access(exchange, who->user_id, parts_.readers.access(stream_id, who->user_id))) co_return;
  switch (co_await parts_.heartbeats.add(stream_id, *viewer)) {
    case leader::viewers::HeartbeatOutcome::counted:
      response.status = 204;
      break;
    case leader::viewers::HeartbeatOutcome::unavailable:
      http::answer_problem(response, {503, "audience_unavailable", "viewers cannot be counted now",
                                      "Redis does not answer.", "Go on sending heartbeats.", kRetry});
      break;
    case leader::viewers::HeartbeatOutcome::overloaded:
      http::answer_problem(response,
                           {503, "overloaded", "too many heartbeats wait", {}, "Go on sending heartbeats.", kRetry});
      break;
  }
}

// A session's user is one viewer, on however many devices. What begins with another letter is never mistaken for one.
std::optional<std::string> Api::viewer(const http::Request& request, const std::string& user_id,
                                       http::Response& response) {
  std::string viewer_id;
  if (!heartbeat_bodies_.parse(request.body, viewer_id, response)) return std::nullopt;
  if (!user_id.empty()) return "u" + user_id;
  if (!viewer_id.empty()) return "v" + viewer_id;
  http::answer_problem(response, {400, "invalid_request", "nobody is watching",
                                  "there is neither a viewer_id nor a session", HeartbeatBodyParser::kHint});
  return std::nullopt;
}

}  // namespace sealcast::api
