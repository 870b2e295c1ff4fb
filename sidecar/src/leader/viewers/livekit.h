// Counts the viewers in LiveKit's rooms. It calls ListRooms of LiveKit's RoomService by Twirp (RPC over HTTP).
//
// The request is POST {url}/twirp/livekit.RoomService/ListRooms with an access token whose video grant contains
// roomList (https://docs.livekit.io/reference/other/roomservice-api/,
// https://docs.livekit.io/frontends/authentication/tokens/). The answer is protobuf's JSON mapping
// (https://protobuf.dev/programming-guides/json/): names in snake_case or camelCase, 64-bit integers as strings, and a
// member with its default value may be missing.
//
// Once per minute the request is {}, for all rooms: LiveKit then reads and sends every room that it has. In between it
// is {"names":[…]}, for the rooms that the last answer had in these shards, and for those of the followed streams. So
// the room of a stream without followers is found within a minute, and every other room at the next tick. Without
// Redis, which knows the followed streams, and with more than kMaxNames names, all rooms are listed.
//
// Viewers are num_participants − num_publishers. livekit/livekit counts both in pkg/rtc/room.go, updateProto(): hidden
// participants and ingress count as participants, agents and egress do not. Each participant that has published a track
// counts as a publisher, also an ingress or an agent. It writes them when participants join and leave, and every 5
// seconds.
//
// Errors are Twirp's {"code","msg"} (https://twitchtv.github.io/twirp/docs/errors.html), except that a refused token is
// answered in plain text (pkg/service/auth.go).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>

#include "base/asio.h"
#include "config/settings.h"
#include "leader/viewers/viewer_source.h"

namespace sealcast::leader::viewers {

// Returns null if livekit.url is empty. Throws SettingsError if the API secret cannot be read or the API key is not
// UTF-8.
std::unique_ptr<ViewerSource> make_livekit(asio::any_io_executor executor, const config::Settings& settings,
                                           std::chrono::milliseconds list_all_every = std::chrono::minutes(1));

}  // namespace sealcast::leader::viewers
