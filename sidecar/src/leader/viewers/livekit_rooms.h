// Parses LiveKit's list of rooms; livekit.h names its documentation. It is apart from livekit.cpp for the fuzzer, which
// links no HTTP client.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

#include "client/http/answer.h"
#include "leader/viewers/viewer_source.h"

namespace sealcast::leader::viewers {

class LiveKitRooms {
 public:
  // `room` is the template of a room's name, with {stream_id} in it.
  explicit LiveKitRooms(std::string_view room);

  // Adds the participants of the rooms that belong to a stream. Returns the problem of the answer; empty: none.
  std::string read(const client::http::Answer& answer, ViewerCounts& counts);

 private:
  std::string stream_of(std::string_view room) const;  // empty: the room belongs to no stream

  std::string prefix_;
  std::string suffix_;
  simdjson::dom::parser parser_;
};

}  // namespace sealcast::leader::viewers
