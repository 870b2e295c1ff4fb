// POST /streams/{id}/heartbeat.
#include <simdjson.h>

#include <algorithm>

#include "log/log.h"
#include "rpc/api.h"

namespace sealcast::rpc {

namespace {

constexpr std::size_t kMaxViewerId = 128;
constexpr std::chrono::seconds kRetry{1};
constexpr std::string_view kHint = "Send {\"viewer_id\": \"…\"}, or Authorization: Bearer.";

bool is_viewer_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxViewerId &&
         std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

asio::awaitable<void> Api::heartbeat(Exchange& exchange, std::string_view id) {
  Response& response = exchange.response;
  const std::string stream_id = own_stream(exchange, id);
  if (stream_id.empty()) co_return;
  const auto who = reader(exchange, stream_id);
  if (!who) co_return;
  const auto viewer = this->viewer(exchange.request, who->user_id, response);
  if (!viewer) co_return;
  if (!co_await access(exchange, who->user_id, parts_.readers.access(stream_id, who->user_id))) co_return;
  switch (co_await parts_.heartbeats.beat(stream_id, *viewer)) {
    case Heartbeat::counted:
      response.status = 204;
      break;
    case Heartbeat::unavailable:
      answer_problem(response, {503, "audience_unavailable", "viewers cannot be counted now", "Redis does not answer.",
                                "Go on sending heartbeats.", kRetry});
      break;
    case Heartbeat::overloaded:
      answer_problem(response,
                     {503, "overloaded", "too many heartbeats wait", {}, "Go on sending heartbeats.", kRetry});
      break;
  }
}

// A session's user is one viewer, on however many devices. What begins with another letter is never mistaken for one.
std::optional<std::string> Api::viewer(const Request& request, const std::string& user_id, Response& response) {
  std::string_view viewer_id;
  if (!request.body.empty()) {
    simdjson::dom::element body;
    if (const auto error = heartbeat_bodies_.parse(request.body).get(body)) {
      answer_problem(response, {400, "invalid_json", "the request body is not JSON", simdjson::error_message(error),
                                "Send a JSON text in UTF-8 (RFC 8259)."});
      return std::nullopt;
    }
    simdjson::dom::object object;
    const auto unusable = [&](std::string_view details) {
      answer_problem(response, {400, "invalid_request", "the request body does not fit", details, kHint});
      return std::nullopt;
    };
    if (body.get(object)) return unusable("the body must be an object");
    for (const auto field : object) {
      if (field.key != "viewer_id") return unusable("viewer_id is the only member of this request");
      if (field.value.get(viewer_id) || !is_viewer_id(viewer_id)) {
        return unusable("viewer_id must be a string of 1 to 128 bytes without control characters");
      }
    }
  }
  if (!user_id.empty()) return "u" + user_id;
  if (!viewer_id.empty()) return "v" + std::string(viewer_id);
  answer_problem(response,
                 {400, "invalid_request", "nobody is watching", "there is neither a viewer_id nor a session", kHint});
  return std::nullopt;
}

}  // namespace sealcast::rpc
