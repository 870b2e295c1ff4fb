// Checks the stream's id, the channel and the right to read. Answers with an error if a check fails.
#include "api/stream_access.h"

#include "api/cell.h"
#include "api/database_failure.h"
#include "core/uuid.h"

namespace sealcast::api {

namespace {

constexpr std::string_view kBanned = "user_banned";

void answer_banned(const std::string& until, http::Response& response) {
  http::answer_problem(response, {403, kBanned, "you are banned", until,
                                  until.empty() ? "Ask a moderator." : "Wait until the ban ends, or ask a moderator."});
}

}  // namespace

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
  const std::string_view refusal = stream.refusal(transport::Channel::everyone, !user_id.empty());
  if (refusal.empty()) co_return stream;
  if (refusal == "stream_not_found") {
    http::answer_problem(response, {404, refusal, "there is no such stream", {}, "Check the stream's id in the path."});
  } else if (refusal == "unauthenticated") {
    http::answer_problem(response, {401, refusal, "this stream is private", {}, how_to_read});
  } else if (refusal == kBanned) {
    answer_banned(stream.ban.value_or(""), response);
  } else {
    http::answer_problem(response, {403,
                                    refusal,
                                    "this stream is private and you have no role in it",
                                    {},
                                    "Ask an owner of the stream for a role."});
  }
  co_return std::nullopt;
}

bool allows_vip(const message::StreamAccess& stream, http::Response& response) {
  const std::string_view refusal = stream.refusal(transport::Channel::all_messages, true);
  if (refusal.empty()) return true;
  if (refusal == kBanned) {
    answer_banned(stream.ban.value_or(""), response);
  } else {
    http::answer_problem(response, {403,
                                    refusal,
                                    "the vip channel is for users with a role in the stream",
                                    {},
                                    "Read the public channel, or ask an owner of the stream for a role."});
  }
  return false;
}

}  // namespace sealcast::api
