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

// Returns `id`, the segment {id} of the path, in lower case. Returns an empty string after answering 400 if `id` is not
// a UUID, 421 if another cell holds the stream, or 503 if the table of cells was not read yet.
std::string stream_of_path(std::string_view id, const message::Cells& cells, http::Exchange& exchange);

// Returns the channel of the query parameter `channel`, or `absent` if the parameter is missing or empty. Returns
// nullopt after answering 400 if the parameter is neither public nor vip.
std::optional<transport::Channel> channel_parameter(const http::Request& request, transport::Channel absent,
                                                    http::Response& response);

inline constexpr std::string_view kHowToRead =
    "Send Authorization: Bearer, or ?access_token= from POST /streams/{id}/token.";

// Awaits `lookup`, and returns its result if the user may read the stream. Otherwise returns nullopt after answering
// 404 (no such stream), 401 with the hint `how_to_read` (an anonymous reader of a private stream), 403 (a user without
// a role in a private stream, or a banned user), or 503 (`lookup` failed).
asio::awaitable<std::optional<message::StreamAccess>> readable_stream(http::Exchange& exchange,
                                                                      const std::string& user_id,
                                                                      asio::awaitable<message::StreamAccess> lookup,
                                                                      std::string_view how_to_read = kHowToRead);

// Returns false after answering 403 if the user may not read the vip channel.
bool allows_vip(const message::StreamAccess& stream, http::Response& response);

}  // namespace sealcast::api
