// The checks that the routes /streams/{id}/… share: the stream's id, the channel, and the right to read.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "http/exchange.h"
#include "message/cells.h"
#include "message/history.h"
#include "transport/frame.h"

namespace sealcast::api {

// Returns the {id} of the path in lower case. Returns an empty string if it is not a UUID (400), or if the stream is
// not in this cell (421 or 503).
std::string stream_of_path(std::string_view id, const message::Cells& cells, http::Exchange& exchange);

// Returns ?channel=, or `absent` without that parameter. Returns nullopt if it has another value; the response is 400.
std::optional<transport::Channel> channel_parameter(const http::Request& request, transport::Channel absent,
                                                    http::Response& response);

inline constexpr std::string_view kHowToRead =
    "Send Authorization: Bearer, or ?access_token= from POST /streams/{id}/token.";

// Awaits `lookup`, and returns its result if `user_id` may read the stream. Returns nullopt otherwise; the response is
// then 404, 401 with the hint `how_to_read`, 403, or 503.
asio::awaitable<std::optional<message::StreamAccess>> readable_stream(http::Exchange& exchange,
                                                                      const std::string& user_id,
                                                                      asio::awaitable<message::StreamAccess> lookup,
                                                                      std::string_view how_to_read = kHowToRead);

// Returns false if the user may not read the vip channel; the response is then 403.
bool allows_vip(const message::StreamAccess& stream, http::Response& response);

}  // namespace sealcast::api
