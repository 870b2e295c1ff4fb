// Checks the stream's id, the channel and the right to read. Answers with an error if a check fails.
#include "api/stream_access.h"

#include "api/cell.h"
#include "api/database_failure.h"
#include "core/uuid.h"

namespace sealcast::api {

std::string stream_of_path(std::string_view id, const message::Cells& cells, http::Exchange& exchange) {
  std::string stream_id;
  if (!core::normalize_uuid(id, stream_id)) {
    http::answer_problem(
        exchange.response,
        {400, "invalid_request", "the stream's id is not a UUID", {}, "Write it as 8-4-4-4-12 hex digits."});
    return {};
  }
  return is_here(cells, stream_id, exchange) ? stream_id : std::string();
}

std::optional<transport::Channel> channel_parameter(const http::Request& request, transport::Channel absent,
                                                    http::Response& response) {
  const std::string name = request.parameter("channel");
  if (name.empty()) return absent;
  if (const auto channel = transport::channel_named(name)) return channel;
  http::answer_problem(response, {400, "invalid_request", "there is no such channel", "channel must be public or vip",
                                  "Send channel=public or channel=vip, or leave the parameter out."});
  return std::nullopt;
}

asio::awaitable<std::optional<message::StreamAccess>> readable_stream(http::Exchange& exchange,
                                                                      const std::string& user_id,
                                                                      asio::awaitable<message::StreamAccess> lookup,
                                                                      std::string_view how_to_read) {
  http::Response& response = exchange.response;
  message::StreamAccess stream{};
  try {
    stream = co_await std::move(lookup);
  } catch (const postgres::Error& error) {
    answer_database_failure(error, "cannot look up a stream", response);
    co_return std::nullopt;
  }
  if (!stream.found) {
    http::answer_problem(
        response, {404, "stream_not_found", "there is no such stream", {}, "Check the stream's id in the path."});
  } else if (!stream.readable && user_id.empty()) {
    http::answer_problem(response, {401, "unauthenticated", "this stream is private", {}, how_to_read});
  } else if (!stream.readable) {
    http::answer_problem(response, {403,
                                    "role_required",
                                    "this stream is private and you have no role in it",
                                    {},
                                    "Ask an owner of the stream for a role."});
  } else {
    co_return stream;
  }
  co_return std::nullopt;
}

bool allows_vip(const message::StreamAccess& stream, http::Response& response) {
  if (stream.vip) return true;
  http::answer_problem(response, {403,
                                  "role_required",
                                  "the vip channel is for users with a role in the stream",
                                  {},
                                  "Read the public channel, or ask an owner of the stream for a role."});
  return false;
}

}  // namespace sealcast::api
