// Reads LiveKit's list of rooms (livekit.h says where that is described).
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>

#include "client/http/answer.h"
#include "leader/viewers/viewer_counts.h"

namespace sealcast::leader::viewers {

class LiveKitRooms {
 public:
  // `room`: the name of a stream's room, with {stream_id} in it.
  explicit LiveKitRooms(std::string_view room);

  // Adds the participants of streams' rooms. What is wrong with the answer; empty when nothing is.
  std::string read(const client::http::Answer& answer, ViewerCounts& counts);

 private:
  std::string stream_of(std::string_view room) const;  // empty: no stream's

  std::string prefix_;
  std::string suffix_;
  simdjson::dom::parser parser_;
};

}  // namespace sealcast::leader::viewers
