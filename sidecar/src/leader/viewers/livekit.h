// Counts the participants of LiveKit's rooms. It calls ListRooms of LiveKit's RoomService by Twirp (RPC over HTTP).
//
// The request is POST {url}/twirp/livekit.RoomService/ListRooms with {} and an access token whose video grant contains
// roomList (https://docs.livekit.io/reference/other/roomservice-api/,
// https://docs.livekit.io/frontends/authentication/tokens/). The answer is protobuf's JSON mapping
// (https://protobuf.dev/programming-guides/json/): names in snake_case or camelCase, 64-bit integers as strings, and a
// member with its default value may be missing. LiveKit refreshes num_participants every 5 seconds. Errors are Twirp's:
// {"code","msg"} (https://twitchtv.github.io/twirp/docs/errors.html).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "leader/viewers/viewer_source.h"

namespace sealcast::leader::viewers {

// Returns null if livekit.url is empty. Throws SettingsError if the API secret cannot be read or the API key is not
// UTF-8.
std::unique_ptr<ViewerSource> make_livekit(asio::any_io_executor executor, const config::Settings& settings);

}  // namespace sealcast::leader::viewers
